-- The next parts. When all are made anew, one whose partition somebody else is at waits until that is over.
SELECT p.seq, p.partition, n.id AS newest, n.state AS newest_state
FROM traider.backfill_part AS p
LEFT JOIN LATERAL (
    SELECT r.id, r.state
    FROM traider.run AS r
    WHERE r.workflow = $2 AND r.partition_key = p.partition
    ORDER BY r.generation DESC
    LIMIT 1
) AS n ON true
WHERE p.backfill = $1 AND p.state = 'pending'
  AND NOT ($3 AND coalesce(n.state IN ('queued', 'running'), false))
ORDER BY p.seq
LIMIT $4
