SELECT EXISTS (
    SELECT
    FROM traider.open_run AS o
    JOIN traider.run AS r ON r.id = o.run
    WHERE r.state IN ('queued', 'running')
)
