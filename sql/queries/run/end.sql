UPDATE traider.run SET state = $2, error = $3, ended_at = now() WHERE id = $1 AND state IN ('queued', 'running')
