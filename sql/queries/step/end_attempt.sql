UPDATE traider.attempt
SET state = $4, error_kind = $5, error = $6, ended_at = now()
WHERE run = $1 AND step = $2 AND epoch = $3 AND state = 'running'
