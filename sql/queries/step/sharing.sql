SELECT count(*)
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
WHERE l.shared = $1 AND s.state = 'running'
