SELECT
    queue,
    count(*) FILTER (WHERE state = 'ready' AND run_at <= now()) AS ready,
    count(*) FILTER (WHERE state = 'ready' AND run_at > now()) AS delayed,
    count(*) FILTER (WHERE state = 'running') AS running,
    extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'ready' AND run_at <= now()))::float8 AS oldest_s
FROM traider.step
WHERE state IN ('ready', 'running')
GROUP BY queue
ORDER BY queue
