UPDATE traider.slot
SET state = $3, run = $4, detail = $5, at = now()
WHERE schedule = $1 AND slot = $2 AND state = 'waiting'
