-- Ready steps of a queue without a task. A row that is being changed is left to the sweep.
SELECT s.run, s.name
FROM traider.step AS s
LEFT JOIN apalis.jobs AS j ON j.id = s.task_id
WHERE s.queue = $1 AND s.state = 'ready' AND NOT s.held AND j.id IS NULL
FOR UPDATE OF s SKIP LOCKED
