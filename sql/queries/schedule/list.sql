SELECT
    s.name, s.workflow, s.cron, s.tz, s.catchup, s.overlap, s.catchup_window_s, s.jitter_s, s.start_at,
    s.depends_on_past, s.active, s.paused, s.last_slot, s.next_slot, s.first_at, s.paused_at, s.paused_why,
    w.pending, r.state AS last_state,
    CASE WHEN s.active AND least(w.oldest, s.next_slot) < $1
        THEN extract(epoch FROM $1 - least(w.oldest, s.next_slot))::float8
    END AS late_s
FROM traider.schedule AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS pending, min(not_before) AS oldest
    FROM traider.slot
    WHERE schedule = s.name AND state = 'waiting'
) AS w
LEFT JOIN LATERAL (
    SELECT state FROM traider.run WHERE schedule = s.name ORDER BY slot DESC LIMIT 1
) AS r ON true
WHERE $2::text IS NULL OR s.name = $2
ORDER BY s.name
