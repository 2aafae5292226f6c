-- Steps that wait or ran become ready, each with the task that will be pushed for it.
WITH s AS (
    UPDATE traider.step AS s
    SET state = 'ready', run_at = to_timestamp(t.at), task_id = t.task, held = false,
        lease_owner = NULL, lease_until = NULL, ended_at = NULL, progress = NULL
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS t (run, name, at, task)
    JOIN traider.run AS r ON r.id = t.run
    WHERE s.run = t.run AND s.name = t.name
    RETURNING
        s.run, s.name, s.queue, s.attempt, s.lease_epoch AS epoch, s.concurrency_key, r.priority, t.at, t.task
),
l AS (
    INSERT INTO traider.live_step (run, name, queue, shared)
    SELECT run, name, queue, concurrency_key FROM s
    ON CONFLICT DO NOTHING
)
SELECT run, name, queue, attempt, epoch, concurrency_key IS NOT NULL AS shared, priority, at, task FROM s
