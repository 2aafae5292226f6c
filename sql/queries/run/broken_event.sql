-- The first event whose hash does not follow from what stands before it.
SELECT id
FROM (
    SELECT
        id, hash,
        sha256(
            coalesce(lag(hash) OVER (ORDER BY id), ''::bytea)
            || convert_to(
                concat_ws(
                    '|', run, step, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), kind, detail
                ),
                'UTF8'
            )
        ) AS expected
    FROM traider.run_event
    WHERE run = $1
) AS e
WHERE hash <> expected
ORDER BY id
LIMIT 1
