SELECT id, step, attempt, ts, level, message
FROM traider.run_log
WHERE run = $1 AND id > $2 AND ($3::text IS NULL OR step = $3)
ORDER BY id
LIMIT $4
