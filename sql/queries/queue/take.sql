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
    SELECT id, workflow, partition_key
    FROM traider.run
    WHERE id = ANY (ARRAY(SELECT run FROM p)) AND state IN ('queued', 'running') AND NOT cancel_requested
    ORDER BY id
    FOR UPDATE
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
    JOIN r ON r.id = p.run
    WHERE s.run = p.run AND s.name = p.step AND s.attempt = p.attempt AND s.lease_epoch = p.epoch AND s.state = 'ready'
      AND s.concurrency_key IS NULL
    RETURNING
        s.run, s.name AS step, s.attempt, s.lease_epoch AS epoch, s.job, s.queue, s.params, s.timeout_s, s.grace_s,
        r.partition_key AS partition, r.workflow
),
u AS (
    UPDATE traider.run AS r SET state = 'running', started_at = coalesce(r.started_at, now())
    FROM s
    WHERE r.id = s.run AND r.state = 'queued'
)
SELECT
    (SELECT count(*) FROM t) AS tasks, (SELECT jsonb_agg(d) FROM t WHERE d ? 'shared') AS shared, to_jsonb(s) AS claimed,
    set_config('synchronous_commit', 'off', true)
FROM (SELECT) AS one
LEFT JOIN s ON true
