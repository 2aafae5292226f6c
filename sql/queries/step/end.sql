UPDATE traider.step
SET state = $3, error_kind = coalesce($4, error_kind), error = coalesce($5, error), ended_at = now(), lease_until = NULL
WHERE run = $1 AND name = $2
