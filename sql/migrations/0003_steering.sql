-- Steering: slots of schedules, backfills, priorities, quorums, shared limits, deadlines, progress, alerts; logs by day.

-- What a run belongs to, and who hears of its failure.
ALTER TABLE traider.run
    ADD COLUMN schedule text,
    ADD COLUMN slot     timestamptz,
    ADD COLUMN backfill text,
    ADD COLUMN alert    text[] NOT NULL DEFAULT '{}',
    ADD CHECK ((schedule IS NULL) = (slot IS NULL));
-- Exactly one run per slot, whoever starts it.
CREATE UNIQUE INDEX run_slot ON traider.run (schedule, slot) WHERE schedule IS NOT NULL;
CREATE INDEX run_backfill ON traider.run (backfill) WHERE backfill IS NOT NULL;
CREATE INDEX run_of_workflow ON traider.run (workflow, queued_at DESC, id DESC);
CREATE INDEX run_of_partition ON traider.run (partition_key, queued_at DESC, id DESC);
CREATE INDEX run_jobs ON traider.run (queued_at DESC, id DESC) WHERE workflow LIKE 'job:%';

ALTER TABLE traider.step
    -- Needs that are done, and how many of them are enough; without a quorum, all.
    ADD COLUMN needs_ok        integer NOT NULL DEFAULT 0,
    ADD COLUMN min_ok          integer CHECK (min_ok >= 1),
    -- A limit shared with every step that has the same key; a ready step that finds it used up is held.
    ADD COLUMN concurrency_key text,
    ADD COLUMN concurrency_max integer CHECK (concurrency_max >= 1),
    ADD COLUMN held            boolean NOT NULL DEFAULT false,
    ADD COLUMN deadline        timestamptz,
    -- {"done": n, "total": n, "unit": "..", "note": ".."}, as the running attempt last said.
    ADD COLUMN progress        jsonb,
    ADD CHECK ((concurrency_key IS NULL) = (concurrency_max IS NULL));
CREATE INDEX step_due ON traider.step (deadline) WHERE deadline IS NOT NULL;

-- States change several times a second, so no index is about them: a change then stays within its page. What is not over
-- yet, and what failed, is listed beside instead.
DROP INDEX traider.run_active;
DROP INDEX traider.step_leases;
DROP INDEX traider.step_ready;

-- Runs that are not done: under way, failed, or cancelled.
CREATE TABLE traider.open_run (
    run text PRIMARY KEY REFERENCES traider.run (id)
);
INSERT INTO traider.open_run SELECT id FROM traider.run WHERE state <> 'done';

-- Steps that are ready, running, or dead.
CREATE TABLE traider.live_step (
    run     text NOT NULL,
    name    text NOT NULL,
    queue   text NOT NULL,
    shared  text,
    PRIMARY KEY (run, name)
);
CREATE INDEX live_step_shared ON traider.live_step (shared) WHERE shared IS NOT NULL;
INSERT INTO traider.live_step SELECT run, name, queue FROM traider.step WHERE state IN ('ready', 'running', 'dead');

ALTER TABLE traider.schedule
    ADD COLUMN catchup_window_s bigint,
    ADD COLUMN jitter_s         bigint      NOT NULL DEFAULT 0,
    ADD COLUMN start_at         timestamptz,
    ADD COLUMN depends_on_past  boolean     NOT NULL DEFAULT false,
    -- False once its workflow is gone or has lost its schedule.
    ADD COLUMN active           boolean     NOT NULL DEFAULT true,
    ADD COLUMN first_at         timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN paused_at        timestamptz,
    ADD COLUMN paused_why       text;

-- Every slot there has been, once, and what became of it.
CREATE TABLE traider.slot (
    schedule    text        NOT NULL REFERENCES traider.schedule (name),
    slot        timestamptz NOT NULL,
    -- waiting: to be started when its turn comes; skipped: the last run was not over; missed: not made up by the catch-up rule.
    state       text        NOT NULL CHECK (state IN ('waiting', 'started', 'skipped', 'missed', 'cancelled')),
    -- Made up after the time it was due.
    late        boolean     NOT NULL DEFAULT false,
    partition   text        NOT NULL,
    not_before  timestamptz NOT NULL,
    run         text,
    detail      text        NOT NULL DEFAULT '',
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schedule, slot)
);
CREATE INDEX slot_waiting ON traider.slot (schedule, slot) WHERE state = 'waiting';

-- Runs over a range of partitions, started a few at a time.
CREATE TABLE traider.backfill (
    id          text        PRIMARY KEY,
    workflow    text        NOT NULL,
    version     integer     NOT NULL,
    first_key   text        NOT NULL,
    last_key    text        NOT NULL,
    params      jsonb       NOT NULL DEFAULT '{}',
    direction   text        NOT NULL CHECK (direction IN ('oldest', 'newest')),
    reprocess   text        NOT NULL CHECK (reprocess IN ('missing', 'failed', 'all')),
    max_active  integer     NOT NULL CHECK (max_active >= 1),
    state       text        NOT NULL CHECK (state IN ('running', 'paused', 'cancelled', 'done')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    FOREIGN KEY (workflow, version) REFERENCES traider.workflow_version (name, version)
);
CREATE INDEX backfill_open ON traider.backfill (id) WHERE state IN ('running', 'paused');

CREATE TABLE traider.backfill_part (
    backfill   text    NOT NULL REFERENCES traider.backfill (id),
    seq        integer NOT NULL,
    partition  text    NOT NULL,
    -- kept: there was nothing to do, by the rule of reprocessing. A started part is what its run is.
    state      text    NOT NULL CHECK (state IN ('pending', 'started', 'kept', 'cancelled')),
    run        text,
    PRIMARY KEY (backfill, seq),
    UNIQUE (backfill, partition)
);
CREATE INDEX backfill_part_pending ON traider.backfill_part (backfill, seq) WHERE state = 'pending';

-- What somebody should know, from the moment it is so until it is over.
CREATE TABLE traider.alert (
    key           text        PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('failed', 'dead', 'late', 'stale', 'paused')),
    workflow      text        NOT NULL,
    partition     text        NOT NULL DEFAULT '',
    run           text,
    step          text,
    detail        text        NOT NULL DEFAULT '',
    channels      text[]      NOT NULL DEFAULT '{}',
    -- Grows each time it opens anew, and names the messages.
    generation    integer     NOT NULL DEFAULT 1,
    -- How often it was seen since it opened.
    seen          integer     NOT NULL DEFAULT 1,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    last_at       timestamptz NOT NULL DEFAULT now(),
    recovered_at  timestamptz
);
CREATE INDEX alert_open ON traider.alert (workflow, partition) WHERE recovered_at IS NULL;

-- One row per message and channel: a channel that is down holds up no other.
ALTER TABLE traider.outbox
    ADD COLUMN channel    text        NOT NULL DEFAULT '',
    ADD COLUMN attempts   integer     NOT NULL DEFAULT 0,
    ADD COLUMN next_at    timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_error text;

-- Logs by day: a day that is in the lake is dropped as a table, not row by row.
ALTER TABLE traider.run_log RENAME TO run_log_before;
ALTER INDEX traider.run_log_of_run RENAME TO run_log_before_of_run;
CREATE SEQUENCE traider.run_log_line;
CREATE TABLE traider.run_log (
    id       bigint      NOT NULL DEFAULT nextval('traider.run_log_line'),
    run      text        NOT NULL,
    step     text        NOT NULL,
    attempt  integer     NOT NULL,
    ts       timestamptz NOT NULL,
    level    text        NOT NULL CHECK (level IN ('info', 'warn', 'error')),
    message  text        NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX run_log_of_run ON traider.run_log (run, id);
-- Lines of days without a table of their own.
CREATE TABLE traider.run_log_other PARTITION OF traider.run_log DEFAULT;
INSERT INTO traider.run_log (id, run, step, attempt, ts, level, message)
SELECT id, run, step, attempt, ts, level, message FROM traider.run_log_before ORDER BY id;
SELECT setval('traider.run_log_line', (SELECT coalesce(max(id), 0) + 1 FROM traider.run_log), false);
DROP TABLE traider.run_log_before;

-- Rows that change often: room beside them, and a vacuum that comes early.
ALTER TABLE traider.run SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE traider.step SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE traider.open_run SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
ALTER TABLE traider.live_step SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
ALTER TABLE apalis.jobs SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
