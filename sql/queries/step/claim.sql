-- Claims the steps that tasks point to, as many as are still to be run; raises their epochs and notes that their runs began.
-- The commit does not wait for the disk: a claim that a crash of the server undoes leaves the step ready for another,
-- and of two holders of one epoch only the first to report finds the step running.
WITH p AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[])
        WITH ORDINALITY AS p (run, step, attempt, epoch, worker, n)
),
r AS (
    -- By its key, so in the order of ids: two who come for many runs never wait for each other.
    UPDATE traider.run
    SET state = 'running', started_at = coalesce(started_at, now())
    WHERE id = ANY ($1) AND state IN ('queued', 'running') AND NOT cancel_requested
    RETURNING id
),
s AS (
    UPDATE traider.step AS s
    SET state = 'running',
        lease_epoch = s.lease_epoch + 1,
        lease_owner = p.worker, lease_host = $6, lease_pid = $7,
        lease_until = now() + make_interval(secs => $8),
        heartbeat_at = now(),
        started_at = clock_timestamp(),
        ended_at = NULL, error_kind = NULL, error = NULL, held = false
    FROM p
    WHERE s.run = p.run AND s.name = p.step AND s.attempt = p.attempt AND s.lease_epoch = p.epoch AND s.state = 'ready'
      AND p.run = ANY (ARRAY(SELECT id FROM r))
      -- Who shares a limit claims alone, with the limit's lock held.
      AND (s.concurrency_key IS NULL OR $9)
      AND NOT EXISTS (SELECT FROM traider.queue_pause AS q WHERE q.queue = s.queue)
    RETURNING
        p.n, s.run, s.name AS step, s.attempt, s.lease_epoch AS epoch, s.job, s.queue, s.params, s.timeout_s, s.grace_s
)
SELECT s.*, r.partition_key AS partition, r.workflow, set_config('synchronous_commit', 'off', true)
FROM s
JOIN traider.run AS r ON r.id = s.run
