-- The next attempt's time in whole seconds: apalis keeps no finer. A wait is rounded up, no wait is now.
WITH wait AS (SELECT ($7::float8 + $8::float8 * random()) / 1000 AS s)
UPDATE traider.step
SET attempt = attempt + 1,
    attempts_max = attempts_max + $6::integer,
    error_kind = $4, error = $5
FROM wait
WHERE run = $1 AND name = $2 AND lease_epoch = $3
RETURNING CASE
    WHEN wait.s > 0 THEN ceil(extract(epoch FROM now()) + wait.s)
    ELSE floor(extract(epoch FROM now()))
END::bigint AS run_at
