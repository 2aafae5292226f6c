SELECT step, attempt, epoch, worker, state, error_kind, error, summary, started_at, ended_at
FROM traider.attempts
WHERE run = $1
ORDER BY step, epoch
