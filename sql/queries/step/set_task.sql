UPDATE traider.step SET task_id = $3 WHERE run = $1 AND name = $2
