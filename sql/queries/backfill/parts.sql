SELECT p.seq, p.partition, p.state, p.run, r.state AS run_state
FROM traider.backfill_part AS p
LEFT JOIN traider.run AS r ON r.id = p.run
WHERE p.backfill = $1
ORDER BY p.seq
