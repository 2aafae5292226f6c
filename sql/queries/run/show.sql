SELECT
    r.id, r.workflow, r.version, r.partition_key AS partition, r.generation, r.trigger, r.state, r.cancel_requested,
    r.error, r.slot, r.backfill, r.queued_at, r.started_at, r.ended_at,
    (SELECT count(*) FROM traider.step WHERE run = r.id) AS steps,
    (SELECT count(*) FROM traider.step WHERE run = r.id AND state = 'done') AS steps_done
FROM traider.run AS r
WHERE r.id = $1
