SELECT s.run, s.name, s.lease_epoch AS epoch, s.lease_owner AS owner, s.lease_until < now() AS expired
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
WHERE s.state = 'running' AND (s.lease_until < now() OR s.lease_host = $1)
ORDER BY s.lease_until
LIMIT 200
