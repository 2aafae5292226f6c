SELECT
    q.name AS queue,
    count(*) FILTER (WHERE s.state = 'ready' AND s.run_at <= now()) AS ready,
    count(*) FILTER (WHERE s.state = 'ready' AND s.run_at > now()) AS delayed,
    count(*) FILTER (WHERE s.state = 'running') AS running,
    count(*) FILTER (WHERE s.state = 'ready' AND s.held) AS held,
    extract(epoch FROM now() - min(s.run_at) FILTER (WHERE s.state = 'ready' AND s.run_at <= now()))::float8 AS oldest_s,
    p.at AS paused_at, p.why AS paused_why
FROM unnest(ARRAY['critical', 'io', 'cpu', 'report']) WITH ORDINALITY AS q (name, n)
LEFT JOIN traider.live_step AS l ON l.queue = q.name
LEFT JOIN traider.step AS s ON s.run = l.run AND s.name = l.name AND s.state IN ('ready', 'running')
LEFT JOIN traider.queue_pause AS p ON p.queue = q.name
GROUP BY q.name, q.n, p.at, p.why
ORDER BY q.n
