SELECT
    s.run, r.workflow, r.partition_key AS partition, s.name AS step, s.job, s.attempt AS attempts, s.error_kind, s.error,
    s.ended_at
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
JOIN traider.run AS r ON r.id = s.run
WHERE s.state = 'dead'
ORDER BY s.ended_at DESC
LIMIT $1
