-- Another process that has it does the same.
SELECT
    name, workflow, cron, tz, catchup, overlap, catchup_window_s, jitter_s, start_at, depends_on_past,
    active, paused, last_slot, next_slot, first_at
FROM traider.schedule
WHERE name = $1 AND active AND NOT paused
FOR UPDATE SKIP LOCKED
