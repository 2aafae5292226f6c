DELETE FROM apalis.jobs
WHERE id IN (
    SELECT id
    FROM apalis.jobs
    WHERE status IN ('Done', 'Failed', 'Killed') AND done_at < now() - make_interval(secs => $1)
    LIMIT 5000
)
