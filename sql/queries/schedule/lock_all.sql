SELECT
    name, workflow, cron, tz, catchup, overlap, catchup_window_s, jitter_s, start_at, depends_on_past,
    active, paused, last_slot, next_slot, first_at
FROM traider.schedule
ORDER BY name
FOR UPDATE
