-- The runs are locked. Ends those of which no step has anything left to do.
WITH t AS (
    SELECT
        run,
        count(*) FILTER (WHERE state IN ('failed', 'dead')) AS failed,
        count(*) FILTER (WHERE state = 'dead') AS dead,
        count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
        string_agg(name || ': ' || coalesce(error, state), '; ' ORDER BY ordinal)
            FILTER (WHERE state IN ('failed', 'dead')) AS errors
    FROM traider.step
    WHERE run = ANY ($1)
    GROUP BY run
    HAVING count(*) FILTER (WHERE state IN ('waiting', 'ready', 'running')) = 0
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
    WHERE r.id = t.run AND r.state IN ('queued', 'running')
    RETURNING r.id, r.workflow, r.partition_key, r.state, r.error, r.alert, t.dead > 0 AS dead,
        -- Asked once for all: mostly there is none at all.
        EXISTS (SELECT FROM traider.alert WHERE recovered_at IS NULL) AND EXISTS (
            SELECT FROM traider.alert AS a
            WHERE a.key = concat_ws('/', 'failed', r.workflow, r.partition_key) AND a.recovered_at IS NULL
        ) AS alarmed
),
o AS (
    DELETE FROM traider.open_run AS o USING u WHERE o.run = u.id AND u.state = 'done'
)
SELECT * FROM u
