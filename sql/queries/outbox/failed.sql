-- Later and later, at most every ten minutes.
UPDATE traider.outbox
SET last_error = $2, next_at = now() + make_interval(secs => least(600, 2 ^ least(attempts, 12)) * (0.5 + random() / 2))
WHERE id = $1
