-- Attempts are written once, when they end; queues can be paused.

-- While an attempt runs, the step's own row says all about it. The step's row is locked when an attempt is written, so a
-- foreign key would only check it once more.
ALTER TABLE traider.attempt DROP CONSTRAINT attempt_run_step_fkey;
DELETE FROM traider.attempt WHERE state = 'running';
ALTER TABLE traider.attempt DROP CONSTRAINT attempt_state_check;
ALTER TABLE traider.attempt ADD CONSTRAINT attempt_state_check CHECK (state IN ('done', 'failed', 'lost', 'cancelled'));

CREATE TABLE traider.queue_pause (
    queue  text        PRIMARY KEY CHECK (queue IN ('io', 'cpu', 'report', 'critical')),
    at     timestamptz NOT NULL DEFAULT now(),
    why    text        NOT NULL DEFAULT ''
);
