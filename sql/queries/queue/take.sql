-- Takes the next tasks of a queue out of it and claims their steps; see step/claim.sql. What becomes of a task is told by
-- its step from now on. A payload that is no pointer fails the statement: see queue/take_raw.sql.
WITH t AS (
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
    RETURNING convert_from(job, 'UTF8')::jsonb AS d
),
p AS (
    SELECT
        d ->> 'run' AS run, d ->> 'step' AS step, (d ->> 'attempt')::integer AS attempt, (d ->> 'epoch')::bigint AS epoch
    FROM t
    WHERE NOT d ? 'shared'
),
r AS (
    -- By its key, so in the order of ids: two who come for many runs never wait for each other.
    UPDATE traider.run
    SET state = 'running', started_at = coalesce(started_at, now())
    WHERE id = ANY (ARRAY(SELECT run FROM p)) AND state IN ('queued', 'running') AND NOT cancel_requested
    RETURNING id
),
s AS (
    UPDATE traider.step AS s
    SET state = 'running',
        lease_epoch = s.lease_epoch + 1,
        lease_owner = $4, lease_host = $5, lease_pid = $6,
        lease_until = now() + make_interval(secs => $7),
        heartbeat_at = now(),
        started_at = clock_timestamp(),
        ended_at = NULL, error_kind = NULL, error = NULL, held = false
    FROM p
    WHERE s.run = p.run AND s.name = p.step AND s.attempt = p.attempt AND s.lease_epoch = p.epoch AND s.state = 'ready'
      AND s.concurrency_key IS NULL
      AND p.run = ANY (ARRAY(SELECT id FROM r))
    RETURNING s.run, s.name AS step, s.attempt, s.lease_epoch AS epoch, s.job, s.queue, s.params, s.timeout_s, s.grace_s
),
c AS (
    SELECT s.*, r.partition_key AS partition, r.workflow FROM s JOIN traider.run AS r ON r.id = s.run
)
SELECT
    (SELECT count(*) FROM t) AS tasks, (SELECT jsonb_agg(d) FROM t WHERE d ? 'shared') AS shared, to_jsonb(c) AS claimed,
    set_config('synchronous_commit', 'off', true)
FROM (SELECT) AS one
LEFT JOIN c ON true
