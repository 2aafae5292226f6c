-- Takes the next tasks of a queue out of it, whatever they hold.
DELETE FROM apalis.jobs
WHERE id = ANY (ARRAY(
    SELECT id
    FROM apalis.jobs
    WHERE job_type = $1 AND status = 'Pending' AND run_at <= now()
      AND NOT EXISTS (SELECT FROM traider.queue_pause WHERE queue = $3)
    ORDER BY priority DESC, run_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
))
RETURNING id, job
