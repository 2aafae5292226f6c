-- Steps that are ready get another task; what became of the last one does not matter.
UPDATE traider.step AS s
SET task_id = t.task, held = false
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS t (run, name, at, task)
JOIN traider.run AS r ON r.id = t.run
WHERE s.run = t.run AND s.name = t.name AND s.state = 'ready'
RETURNING s.run, s.name, s.queue, s.attempt, s.lease_epoch AS epoch, s.concurrency_key IS NOT NULL AS shared, r.priority, t.at, t.task
