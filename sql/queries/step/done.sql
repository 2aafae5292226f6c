UPDATE traider.step
SET state = 'done', summary = $4, ended_at = now(), lease_until = NULL
WHERE run = $1 AND name = $2 AND lease_epoch = $3 AND state = 'running'
