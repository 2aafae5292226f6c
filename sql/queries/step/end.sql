-- The runs are locked. Ends steps and, of those that run, the attempt; counts down who needs them.
-- An attempt that is done is told by the step's own row until the step runs again: see view traider.attempts.
-- With a fence: only the holder of that epoch. Without one: only a step that nobody holds.
WITH e AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[])
        AS e (run, name, epoch, state, attempt_state, error_kind, error, summary)
),
s AS (
    UPDATE traider.step AS s
    SET state = e.state,
        error_kind = coalesce(e.error_kind, s.error_kind), error = coalesce(e.error, s.error),
        summary = nullif(e.summary, 'null'::jsonb),
        ended_at = now(), lease_until = NULL, held = false
    FROM e
    WHERE s.run = e.run AND s.name = e.name
      AND CASE
            WHEN e.epoch IS NULL THEN s.state IN ('waiting', 'ready')
            ELSE s.state = 'running' AND s.lease_epoch = e.epoch
          END
    RETURNING
        s.run, s.name, s.state, s.attempt, s.lease_epoch, s.lease_owner, s.started_at, s.concurrency_key, s.summary,
        e.epoch AS fence, e.attempt_state, e.error_kind, e.error
),
a AS (
    INSERT INTO traider.attempt (run, step, epoch, attempt, worker, state, error_kind, error, summary, started_at, ended_at)
    SELECT run, name, lease_epoch, attempt, lease_owner, attempt_state, error_kind, error, summary, started_at, now()
    FROM s
    WHERE fence IS NOT NULL AND state <> 'done'
),
l AS (
    DELETE FROM traider.live_step AS l USING s WHERE l.run = s.run AND l.name = s.name AND s.state <> 'dead'
),
n AS (
    SELECT d.run, d.step, count(*)::integer AS ended, (count(*) FILTER (WHERE s.state = 'done'))::integer AS ok
    FROM s
    JOIN traider.step_dep AS d ON d.run = s.run AND d.needs = s.name
    GROUP BY d.run, d.step
),
c AS (
    UPDATE traider.step AS c
    SET missing = c.missing - n.ended, needs_ok = c.needs_ok + n.ok, needs_failed = c.needs_failed + n.ended - n.ok
    FROM n
    WHERE c.run = n.run AND c.name = n.step AND c.state = 'waiting'
    RETURNING c.run, c.name, c.missing, c.needs_ok, c.needs_failed, c.when_needs, c.min_ok
)
SELECT
    true AS ended, run, name, 0 AS missing, 0 AS needs_ok, 0 AS needs_failed, state AS when_needs, NULL::integer AS min_ok,
    CASE WHEN fence IS NULL THEN NULL ELSE concurrency_key END AS shared,
    CASE WHEN fence IS NULL THEN '' ELSE format('attempt %s epoch %s by %s', attempt, lease_epoch, lease_owner) END AS held_by,
    (SELECT hash FROM traider.run_event AS e WHERE e.run = s.run ORDER BY id DESC LIMIT 1) AS last_hash
FROM s
UNION ALL
SELECT false, run, name, missing, needs_ok, needs_failed, when_needs, min_ok, NULL, '', NULL FROM c
