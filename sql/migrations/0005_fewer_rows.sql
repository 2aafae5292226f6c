-- Fewer rows and index entries for a step that simply gets done.

-- The newest attempt of a step that runs or is done stands in the step's own row; a row of its own is written when it ends
-- otherwise, or when the step is to run again.
DELETE FROM traider.attempt AS a
USING traider.step AS s
WHERE s.run = a.run AND s.name = a.step AND s.lease_epoch = a.epoch AND s.state = 'done' AND a.state = 'done';

CREATE VIEW traider.attempts AS
SELECT run, step, attempt, epoch, worker, state, error_kind, error, summary, started_at, ended_at
FROM traider.attempt
UNION ALL
SELECT run, name, attempt, lease_epoch, lease_owner, state, NULL, NULL, summary, started_at, ended_at
FROM traider.step
WHERE state IN ('running', 'done') AND lease_epoch > 0;

-- Events are only ever read run by run.
DROP INDEX traider.run_event_of_run;
ALTER TABLE traider.run_event DROP CONSTRAINT run_event_pkey;
ALTER TABLE traider.run_event ADD PRIMARY KEY (run, id);
