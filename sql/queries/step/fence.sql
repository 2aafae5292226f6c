SELECT attempt, attempts_max, retry, concurrency_key AS shared
FROM traider.step
WHERE run = $1 AND name = $2 AND lease_epoch = $3 AND state = 'running'
FOR UPDATE
