-- The steps that use up the limits which steps of this run are held by.
SELECT h.name AS step, h.concurrency_key AS key, h.concurrency_max AS max, u.run AS by_run, u.name AS by_step
FROM traider.step AS h
JOIN traider.live_step AS l ON l.shared = h.concurrency_key
JOIN traider.step AS u ON u.run = l.run AND u.name = l.name AND u.state = 'running'
WHERE h.run = $1 AND h.state = 'ready' AND h.held
ORDER BY h.ordinal, u.started_at, u.run, u.name
