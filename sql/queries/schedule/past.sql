-- How the newest run of the partition before this one stands, if it has one.
SELECT r.state
FROM traider.run AS r
WHERE r.workflow = $4
  AND r.partition_key = (
      SELECT p.partition
      FROM traider.slot AS p
      WHERE p.schedule = $1 AND p.slot < $2 AND p.partition <> $3
      ORDER BY p.slot DESC
      LIMIT 1
  )
ORDER BY r.generation DESC
LIMIT 1
