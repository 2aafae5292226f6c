-- Ready steps of a queue without a task. A row that is being changed is left to the sweep.
SELECT s.run, s.name
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
LEFT JOIN apalis.jobs AS j ON j.id = s.task_id
WHERE l.queue = $1 AND s.state = 'ready' AND NOT s.held AND j.id IS NULL
FOR UPDATE OF s SKIP LOCKED
