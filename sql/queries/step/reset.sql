-- Steps of a run that shall run again: those that did not get done, all, or one and everything that needs it.
WITH RECURSIVE down (name) AS (
    SELECT $3::text
    UNION
    SELECT d.step FROM traider.step_dep AS d JOIN down ON down.name = d.needs WHERE d.run = $1
),
again AS (
    SELECT *
    FROM traider.step
    WHERE run = $1
      AND CASE $2
            WHEN 'failed' THEN state <> 'done'
            WHEN 'from' THEN name IN (SELECT name FROM down)
            ELSE true
          END
),
kept AS (
    INSERT INTO traider.attempt (run, step, epoch, attempt, worker, state, summary, started_at, ended_at)
    SELECT run, name, lease_epoch, attempt, lease_owner, state, summary, started_at, ended_at
    FROM again
    WHERE state = 'done' AND lease_epoch > 0
)
UPDATE traider.step
SET state = 'waiting',
    -- A step that never ran has used no attempt.
    attempt = attempt + (lease_epoch > 0)::integer,
    attempts_max = attempt + (lease_epoch > 0)::integer - 1 + (retry ->> 'max')::integer,
    error_kind = NULL, error = NULL, summary = NULL, ended_at = NULL, started_at = NULL, lease_until = NULL
WHERE run = $1 AND name IN (SELECT name FROM again)
RETURNING name
