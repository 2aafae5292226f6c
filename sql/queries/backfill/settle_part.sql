UPDATE traider.backfill_part SET state = $3, run = $4 WHERE backfill = $1 AND seq = $2 AND state = 'pending'
