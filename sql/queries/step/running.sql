SELECT
    s.run, r.workflow, r.partition_key AS partition, s.name AS step, s.job, s.queue, s.attempt, s.lease_owner AS worker,
    s.progress, s.heartbeat_at, s.started_at
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
JOIN traider.run AS r ON r.id = s.run
WHERE s.state = 'running'
ORDER BY s.started_at
LIMIT $1
