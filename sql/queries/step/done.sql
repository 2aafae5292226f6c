-- The run is locked. The fence, the effect, the attempt's end and the event; no row when the lease was lost.
WITH s AS (
    UPDATE traider.step
    SET state = 'done', summary = $4, ended_at = now(), lease_until = NULL
    WHERE run = $1 AND name = $2 AND lease_epoch = $3 AND state = 'running'
    RETURNING run, name, attempt, lease_epoch
),
f AS (
    INSERT INTO traider.effect (key, run, step, epoch, result)
    SELECT concat_ws('/', 'step', run, name, attempt), run, name, lease_epoch, $4 FROM s
    ON CONFLICT (key) DO NOTHING
    RETURNING key
),
a AS (
    UPDATE traider.attempt AS t
    SET state = 'done', summary = $4, ended_at = now()
    FROM s
    WHERE t.run = s.run AND t.step = s.name AND t.epoch = s.lease_epoch AND t.state = 'running'
),
d AS (
    SELECT run, name, clock_timestamp() AS at, format('epoch %s', lease_epoch) AS detail FROM s
),
e AS (
    INSERT INTO traider.run_event (run, step, at, kind, detail, hash)
    SELECT
        run, name, at, 'step_done', detail,
        sha256(
            coalesce((SELECT hash FROM traider.run_event WHERE run = $1 ORDER BY id DESC LIMIT 1), ''::bytea)
            || convert_to(
                concat_ws(
                    '|', run, name, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'step_done', detail
                ),
                'UTF8'
            )
        )
    FROM d
)
SELECT EXISTS (SELECT FROM f) AS fresh FROM s
