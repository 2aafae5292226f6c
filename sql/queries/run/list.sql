SELECT
    r.id, r.workflow, r.version, r.partition_key AS partition, r.generation, r.trigger, r.state, r.cancel_requested,
    r.error, r.slot, r.backfill, r.queued_at, r.started_at, r.ended_at, s.steps, s.steps_done
FROM traider.run AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS steps, count(*) FILTER (WHERE state = 'done') AS steps_done
    FROM traider.step
    WHERE run = r.id
) AS s
