-- Who waits longest for a shared limit. A row that somebody changes at this moment is looked at by the next sweep.
SELECT s.run, s.name
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
WHERE l.shared = $1 AND s.state = 'ready' AND s.held
  AND s.concurrency_max > (
      SELECT count(*)
      FROM traider.live_step AS m
      JOIN traider.step AS r ON r.run = m.run AND r.name = m.name
      WHERE m.shared = $1 AND r.state = 'running'
  )
ORDER BY s.run_at, s.run, s.name
LIMIT 1
FOR UPDATE OF s SKIP LOCKED
