SELECT run, name, lease_epoch AS epoch, lease_owner AS owner, lease_until < now() AS expired
FROM traider.step
WHERE state = 'running' AND (lease_until < now() OR lease_host = $1)
ORDER BY lease_until
LIMIT 200
