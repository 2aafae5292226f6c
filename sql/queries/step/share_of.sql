SELECT concurrency_key, concurrency_max
FROM traider.step
WHERE run = $1 AND name = $2 AND attempt = $3 AND lease_epoch = $4 AND state = 'ready' AND concurrency_key IS NOT NULL
