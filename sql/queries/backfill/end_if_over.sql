UPDATE traider.backfill AS b
SET state = 'done', ended_at = $2
WHERE b.id = $1 AND b.state = 'running'
  AND NOT EXISTS (SELECT FROM traider.backfill_part AS p WHERE p.backfill = b.id AND p.state = 'pending')
  AND NOT EXISTS (
      SELECT
      FROM traider.backfill_part AS p
      JOIN traider.run AS r ON r.id = p.run
      WHERE p.backfill = b.id AND p.state = 'started' AND r.state IN ('queued', 'running')
  )
