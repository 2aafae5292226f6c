-- The number of the line that stands before the last $3 lines.
SELECT id
FROM traider.run_log
WHERE run = $1 AND ($2::text IS NULL OR step = $2)
ORDER BY id DESC
OFFSET $3
LIMIT 1
