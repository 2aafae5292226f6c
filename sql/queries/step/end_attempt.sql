-- The run is locked and the fence was checked. The attempt ends, the step does not.
INSERT INTO traider.attempt (run, step, epoch, attempt, worker, state, error_kind, error, started_at, ended_at)
SELECT run, name, lease_epoch, attempt, lease_owner, $4, $5, $6, started_at, now()
FROM traider.step
WHERE run = $1 AND name = $2 AND lease_epoch = $3
