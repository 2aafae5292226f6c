SELECT id FROM traider.run
WHERE backfill = $1 AND state IN ('queued', 'running') AND NOT cancel_requested
ORDER BY id
