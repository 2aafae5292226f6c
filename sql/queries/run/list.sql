SELECT
    r.id, r.workflow, r.version, r.partition_key AS partition, r.generation, r.trigger, r.state, r.cancel_requested,
    r.error, r.slot, r.backfill, r.queued_at, r.started_at, r.ended_at, s.steps, s.steps_done
FROM traider.run AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS steps, count(*) FILTER (WHERE state = 'done') AS steps_done
    FROM traider.step
    WHERE run = r.id
) AS s
WHERE ($1::text IS NULL OR r.workflow = $1)
  AND ($2::text IS NULL OR r.state = $2)
  AND ($3::text IS NULL OR r.partition_key = $3)
  AND (NOT $4 OR r.workflow LIKE 'job:%')
ORDER BY r.queued_at DESC, r.id DESC
LIMIT $5
