SELECT id, generation, state IN ('queued', 'running') AS active
FROM traider.run
WHERE workflow = $1 AND partition_key = $2
ORDER BY generation DESC
LIMIT 1
