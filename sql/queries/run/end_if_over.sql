-- The run is locked. Ends it, with its event, when none of its steps has anything left to do.
WITH t AS (
    SELECT
        count(*) FILTER (WHERE state IN ('waiting', 'ready', 'running')) AS active,
        count(*) FILTER (WHERE state IN ('failed', 'dead')) AS failed,
        count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
        string_agg(name || ': ' || coalesce(error, state), '; ' ORDER BY ordinal)
            FILTER (WHERE state IN ('failed', 'dead')) AS errors
    FROM traider.step
    WHERE run = $1
),
u AS (
    UPDATE traider.run AS r
    SET state = CASE
            WHEN t.cancelled > 0 AND r.cancel_requested THEN 'cancelled'
            WHEN t.failed > 0 THEN 'failed'
            WHEN t.cancelled > 0 THEN 'cancelled'
            ELSE 'done'
        END,
        error = t.errors,
        ended_at = now()
    FROM t
    WHERE r.id = $1 AND t.active = 0 AND r.state IN ('queued', 'running')
    RETURNING r.id, r.state, r.error
),
d AS (
    SELECT id, clock_timestamp() AS at, 'run_' || state AS kind, coalesce(error, '') AS detail FROM u
),
e AS (
    INSERT INTO traider.run_event (run, step, at, kind, detail, hash)
    SELECT
        id, '', at, kind, detail,
        sha256(
            coalesce((SELECT hash FROM traider.run_event WHERE run = $1 ORDER BY id DESC LIMIT 1), ''::bytea)
            || convert_to(
                concat_ws('|', id, '', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), kind, detail),
                'UTF8'
            )
        )
    FROM d
)
SELECT state, error FROM u
