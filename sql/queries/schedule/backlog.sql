-- True while slots that were missed are being made up: one waits, or the run of one is not over.
SELECT EXISTS (
    SELECT FROM traider.slot WHERE schedule = $1 AND state = 'waiting' AND late
) OR EXISTS (
    SELECT
    FROM traider.open_run AS o
    JOIN traider.run AS r ON r.id = o.run
    JOIN traider.slot AS s ON s.schedule = r.schedule AND s.slot = r.slot
    WHERE r.schedule = $1 AND r.state IN ('queued', 'running') AND s.late
)
