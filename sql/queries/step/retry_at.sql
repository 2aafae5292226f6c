-- Whole seconds, rounded up: apalis keeps no finer time.
UPDATE traider.step
SET attempt = attempt + 1,
    attempts_max = attempts_max + $6::integer,
    error_kind = $4, error = $5
WHERE run = $1 AND name = $2 AND lease_epoch = $3
RETURNING ceil(
    extract(epoch FROM now()) + ($7::float8 + $8::float8 * random()) / 1000
)::bigint AS run_at
