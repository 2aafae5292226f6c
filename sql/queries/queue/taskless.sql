-- Ready steps of a queue whose task was delivered and refused. A row that is being changed is left to the sweep.
SELECT s.run, s.name
FROM traider.step AS s
LEFT JOIN apalis.jobs AS j ON j.id = s.task_id
WHERE s.queue = $1 AND s.state = 'ready' AND NOT s.held AND (j.status IS NULL OR j.status <> 'Pending')
FOR UPDATE OF s SKIP LOCKED
