UPDATE traider.schedule
SET paused = false, paused_at = NULL, paused_why = NULL
WHERE name = $1 AND paused
