INSERT INTO traider.step
    (run, name, ordinal, job, queue, params, when_needs, retry, timeout_s, grace_s, state, missing, attempts_max)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', $11, $12)
