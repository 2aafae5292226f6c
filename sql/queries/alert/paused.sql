-- Schedules that have been paused for too long.
SELECT
    'paused/' || c.name AS key, 'paused' AS kind, c.workflow, '' AS partition, NULL::text AS run, NULL::text AS step,
    format('paused since %s: %s', to_char(c.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), c.paused_why) AS detail,
    '{}'::text[] AS channels
FROM traider.schedule AS c
WHERE c.active AND c.paused AND c.paused_at < $1::timestamptz - make_interval(secs => $2)
  AND NOT EXISTS (SELECT FROM traider.alert AS a WHERE a.key = 'paused/' || c.name AND a.recovered_at IS NULL)
