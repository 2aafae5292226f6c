SELECT count(*)
FROM traider.backfill_part AS p
JOIN traider.run AS r ON r.id = p.run
WHERE p.backfill = $1 AND p.state = 'started' AND r.state IN ('queued', 'running')
