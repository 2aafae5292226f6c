INSERT INTO traider.run_event (run, step, at, kind, detail, hash)
SELECT
    $1, $2, t.at, $3, $4,
    sha256(
        coalesce((SELECT hash FROM traider.run_event WHERE run = $1 ORDER BY id DESC LIMIT 1), ''::bytea)
        || convert_to(
            concat_ws(
                '|', $1::text, $2::text,
                to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), $3::text, $4::text
            ),
            'UTF8'
        )
    )
FROM (SELECT clock_timestamp() AS at) AS t
