DELETE FROM apalis.workers AS w
WHERE w.last_seen < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM apalis.jobs AS j WHERE j.lock_by = w.id)
