-- Steps of a run that shall run again: those that did not get done, or all.
UPDATE traider.step
SET state = 'waiting',
    attempt = attempt + 1,
    attempts_max = attempt + (retry ->> 'max')::integer,
    error_kind = NULL, error = NULL, summary = NULL, ended_at = NULL, started_at = NULL, lease_until = NULL
WHERE run = $1 AND (NOT $2 OR state <> 'done')
RETURNING name
