SELECT key, kind, workflow, partition, run, step, detail, seen, opened_at, last_at, recovered_at
FROM traider.alert
WHERE $1 OR recovered_at IS NULL
ORDER BY recovered_at IS NOT NULL, opened_at DESC
LIMIT $2
