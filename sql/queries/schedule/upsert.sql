INSERT INTO traider.schedule (
    name, workflow, cron, tz, catchup, overlap, catchup_window_s, jitter_s, start_at, depends_on_past,
    last_slot, next_slot, first_at, active
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true)
ON CONFLICT (name) DO UPDATE SET
    workflow = excluded.workflow,
    cron = excluded.cron,
    tz = excluded.tz,
    catchup = excluded.catchup,
    overlap = excluded.overlap,
    catchup_window_s = excluded.catchup_window_s,
    jitter_s = excluded.jitter_s,
    start_at = excluded.start_at,
    depends_on_past = excluded.depends_on_past,
    last_slot = excluded.last_slot,
    next_slot = excluded.next_slot,
    active = true
