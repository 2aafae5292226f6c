UPDATE traider.step AS s
SET state = 'running',
    lease_epoch = s.lease_epoch + 1,
    lease_owner = $5, lease_host = $6, lease_pid = $7,
    lease_until = now() + make_interval(secs => $8),
    heartbeat_at = now(),
    started_at = now(),
    ended_at = NULL, error_kind = NULL, error = NULL
FROM traider.run AS r
WHERE s.run = $1 AND s.name = $2 AND s.attempt = $3 AND s.lease_epoch = $4
  AND s.state = 'ready'
  AND r.id = s.run AND NOT r.cancel_requested
RETURNING
    s.run, s.name AS step, s.attempt, s.lease_epoch AS epoch, s.job, s.queue, s.params, s.timeout_s, s.grace_s,
    r.partition_key AS partition, r.workflow
