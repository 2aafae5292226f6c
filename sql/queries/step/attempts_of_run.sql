SELECT step, attempt, epoch, worker, state, error_kind, error, summary, started_at, ended_at
FROM traider.attempt
WHERE run = $1
UNION ALL
SELECT name, attempt, lease_epoch, lease_owner, 'running', NULL, NULL, NULL, started_at, NULL
FROM traider.step
WHERE run = $1 AND state = 'running'
ORDER BY step, epoch
