UPDATE traider.step AS s
SET heartbeat_at = now(), lease_until = now() + make_interval(secs => $4), progress = coalesce($5, s.progress)
FROM traider.run AS r
WHERE s.run = $1 AND s.name = $2 AND s.lease_epoch = $3 AND s.state = 'running' AND r.id = s.run
RETURNING r.cancel_requested
