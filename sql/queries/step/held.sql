-- Who waits longest for a shared limit. A row that somebody changes at this moment is looked at by the next sweep.
SELECT run, name
FROM traider.step
WHERE concurrency_key = $1 AND state = 'ready' AND held
  AND concurrency_max > (SELECT count(*) FROM traider.step WHERE concurrency_key = $1 AND state = 'running')
ORDER BY run_at, run, name
LIMIT 1
FOR UPDATE SKIP LOCKED
