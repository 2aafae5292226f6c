-- Late steps that have ended since, and schedules that are no longer paused.
SELECT a.key
FROM traider.alert AS a
JOIN traider.step AS s ON s.run = a.run AND s.name = a.step
WHERE a.kind = 'late' AND a.recovered_at IS NULL AND s.state NOT IN ('waiting', 'ready', 'running')
UNION ALL
SELECT a.key
FROM traider.alert AS a
WHERE a.kind = 'paused' AND a.recovered_at IS NULL
  AND NOT EXISTS (SELECT FROM traider.schedule AS c WHERE c.name = a.workflow AND c.paused AND c.active)
UNION ALL
SELECT a.key
FROM traider.alert AS a
WHERE a.kind = 'stale' AND a.recovered_at IS NULL AND a.key <> ALL ($1)
