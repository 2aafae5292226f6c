-- Steps that should have ended by now and have no alert yet.
SELECT
    concat_ws('/', 'late', r.workflow, r.partition_key, s.name) AS key, 'late' AS kind, r.workflow,
    r.partition_key AS partition, r.id AS run, s.name AS step,
    format('%s should have ended by %s', s.name, to_char(s.deadline AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')) AS detail,
    r.alert AS channels
FROM traider.step AS s
JOIN traider.run AS r ON r.id = s.run
WHERE s.state IN ('waiting', 'ready', 'running') AND s.deadline < $1
  AND NOT EXISTS (
      SELECT FROM traider.alert AS a
      WHERE a.key = concat_ws('/', 'late', r.workflow, r.partition_key, s.name) AND a.recovered_at IS NULL
  )
LIMIT 100
