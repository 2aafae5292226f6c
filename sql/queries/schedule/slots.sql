SELECT s.slot, s.state, s.late, s.partition, s.not_before, s.run, s.detail, s.at, r.state AS run_state
FROM traider.slot AS s
LEFT JOIN traider.run AS r ON r.id = s.run
WHERE s.schedule = $1
ORDER BY s.slot DESC
LIMIT $2
