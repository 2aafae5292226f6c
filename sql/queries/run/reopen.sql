UPDATE traider.run
SET state = 'queued', cancel_requested = false, error = NULL, ended_at = NULL
WHERE id = $1
