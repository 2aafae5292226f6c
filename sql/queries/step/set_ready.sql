UPDATE traider.step
SET state = 'ready', run_at = to_timestamp($3), task_id = $4, lease_owner = NULL, lease_until = NULL, ended_at = NULL
WHERE run = $1 AND name = $2
