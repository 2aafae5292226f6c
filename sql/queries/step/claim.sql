-- The run is locked. Raises the epoch, notes the attempt, the run's beginning and the event.
-- The commit does not wait for the disk: a claim that a crash of the server undoes leaves the step ready for another,
-- and of two holders of one epoch only the first to report finds the step running.
WITH s AS (
    UPDATE traider.step
    SET state = 'running',
        lease_epoch = lease_epoch + 1,
        lease_owner = $5, lease_host = $6, lease_pid = $7,
        lease_until = now() + make_interval(secs => $8),
        heartbeat_at = now(),
        started_at = now(),
        ended_at = NULL, error_kind = NULL, error = NULL
    WHERE run = $1 AND name = $2 AND attempt = $3 AND lease_epoch = $4 AND state = 'ready'
    RETURNING run, name, attempt, lease_epoch, job, queue, params, timeout_s, grace_s
),
a AS (
    INSERT INTO traider.attempt (run, step, epoch, attempt, worker, state)
    SELECT run, name, lease_epoch, attempt, $5, 'running' FROM s
),
u AS (
    UPDATE traider.run SET state = 'running', started_at = coalesce(started_at, now())
    FROM s
    WHERE id = s.run AND state = 'queued'
),
d AS (
    SELECT
        run, name, clock_timestamp() AS at,
        format('attempt %s epoch %s by %s', attempt, lease_epoch, $5::text) AS detail
    FROM s
),
e AS (
    INSERT INTO traider.run_event (run, step, at, kind, detail, hash)
    SELECT
        run, name, at, 'step_running', detail,
        sha256(
            coalesce((SELECT hash FROM traider.run_event WHERE run = $1 ORDER BY id DESC LIMIT 1), ''::bytea)
            || convert_to(
                concat_ws(
                    '|', run, name, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'step_running', detail
                ),
                'UTF8'
            )
        )
    FROM d
)
SELECT
    s.run, s.name AS step, s.attempt, s.lease_epoch AS epoch, s.job, s.queue, s.params, s.timeout_s, s.grace_s,
    r.partition_key AS partition, r.workflow,
    set_config('synchronous_commit', 'off', true)
FROM s
JOIN traider.run AS r ON r.id = s.run
