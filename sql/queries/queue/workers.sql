SELECT
    w.id AS name, replace(w.worker_type, 'traider-', '') AS queue, w.started_at, w.last_seen,
    (
        SELECT count(*)
        FROM traider.live_step AS l
        JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
        WHERE s.state = 'running' AND s.lease_owner = w.id
    ) AS steps
FROM apalis.workers AS w
WHERE w.last_seen > now() - make_interval(secs => $1)
ORDER BY w.id
