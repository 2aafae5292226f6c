-- Queues with a task whose time has come.
SELECT q.name
FROM unnest($1::text[]) AS q (name)
WHERE EXISTS (SELECT FROM apalis.jobs AS j WHERE j.job_type = q.name AND j.status = 'Pending' AND j.run_at <= now())
