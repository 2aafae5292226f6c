UPDATE traider.step
SET state = 'cancelled', ended_at = now()
WHERE run = $1 AND state IN ('waiting', 'ready')
RETURNING name
