UPDATE traider.backfill_part SET state = 'cancelled' WHERE backfill = $1 AND state = 'pending'
