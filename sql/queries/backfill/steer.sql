UPDATE traider.backfill
SET state = $2, ended_at = CASE WHEN $2 = 'cancelled' THEN $4 END
WHERE id = $1 AND state = ANY($3)
