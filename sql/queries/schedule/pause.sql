UPDATE traider.schedule
SET paused = true, paused_at = $2, paused_why = $3
WHERE name = $1 AND NOT paused
