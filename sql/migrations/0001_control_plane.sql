-- The control plane: what was asked to run, what ran, what came out of it, and from what.
-- Every change of state happens in one transaction with the data it speaks about. Forward only; never edited once released.

CREATE TABLE traider.workflow_version (
    name        text        NOT NULL,
    version     integer     NOT NULL CHECK (version >= 1),
    sha256      text        NOT NULL,
    definition  jsonb       NOT NULL,
    loaded_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version),
    UNIQUE (name, sha256)
);

-- Parsed and kept; the slots are materialised by the scheduler.
CREATE TABLE traider.schedule (
    name        text        PRIMARY KEY,
    workflow    text        NOT NULL,
    cron        text        NOT NULL,
    tz          text        NOT NULL DEFAULT 'UTC',
    catchup     text        NOT NULL DEFAULT 'latest' CHECK (catchup IN ('none', 'latest', 'all')),
    overlap     text        NOT NULL DEFAULT 'skip'
                CHECK (overlap IN ('skip', 'buffer_one', 'buffer_all', 'allow', 'cancel_other')),
    paused      boolean     NOT NULL DEFAULT false,
    last_slot   timestamptz,
    next_slot   timestamptz
);

CREATE TABLE traider.run (
    id               text        PRIMARY KEY,
    workflow         text        NOT NULL,
    version          integer     NOT NULL,
    partition_key    text        NOT NULL,
    generation       integer     NOT NULL CHECK (generation >= 1),
    trigger          text        NOT NULL CHECK (trigger IN ('schedule', 'manual', 'backfill', 'event')),
    params           jsonb       NOT NULL DEFAULT '{}',
    state            text        NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    priority         integer     NOT NULL DEFAULT 0,
    cancel_requested boolean     NOT NULL DEFAULT false,
    error            text,
    queued_at        timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    ended_at         timestamptz,
    UNIQUE (workflow, partition_key, generation),
    FOREIGN KEY (workflow, version) REFERENCES traider.workflow_version (name, version)
);
CREATE INDEX run_newest ON traider.run (queued_at DESC, id DESC);
CREATE INDEX run_active ON traider.run (id) WHERE state IN ('queued', 'running');

CREATE TABLE traider.step (
    run            text        NOT NULL REFERENCES traider.run (id),
    name           text        NOT NULL,
    ordinal        integer     NOT NULL,
    job            text        NOT NULL,
    queue          text        NOT NULL CHECK (queue IN ('io', 'cpu', 'report', 'critical')),
    params         jsonb       NOT NULL,
    when_needs     text        NOT NULL CHECK (when_needs IN ('success', 'failure', 'always')),
    retry          jsonb       NOT NULL,
    timeout_s      bigint      NOT NULL,
    grace_s        bigint      NOT NULL,
    state          text        NOT NULL
                   CHECK (state IN ('waiting', 'ready', 'running', 'done', 'failed', 'dead', 'cancelled', 'skipped')),
    -- Needs not ended yet, and needs that ended other than done.
    missing        integer     NOT NULL CHECK (missing >= 0),
    needs_failed   integer     NOT NULL DEFAULT 0,
    attempt        integer     NOT NULL DEFAULT 1,
    attempts_max   integer     NOT NULL,
    -- The fence: one more with every claim; a write that carries an older one is refused.
    lease_epoch    bigint      NOT NULL DEFAULT 0,
    lease_owner    text,
    lease_host     text,
    lease_pid      integer,
    lease_until    timestamptz,
    heartbeat_at   timestamptz,
    task_id        text,
    run_at         timestamptz,
    error_kind     text,
    error          text,
    summary        jsonb,
    started_at     timestamptz,
    ended_at       timestamptz,
    PRIMARY KEY (run, name)
);
CREATE INDEX step_leases ON traider.step (lease_until) WHERE state = 'running';
CREATE INDEX step_ready ON traider.step (run_at) WHERE state = 'ready';

CREATE TABLE traider.step_dep (
    run    text NOT NULL,
    step   text NOT NULL,
    needs  text NOT NULL,
    PRIMARY KEY (run, step, needs),
    FOREIGN KEY (run, step) REFERENCES traider.step (run, name),
    FOREIGN KEY (run, needs) REFERENCES traider.step (run, name)
);
CREATE INDEX step_dep_children ON traider.step_dep (run, needs);

-- Every claim of a step, kept for ever: who held it, how it ended.
CREATE TABLE traider.attempt (
    run         text        NOT NULL,
    step        text        NOT NULL,
    epoch       bigint      NOT NULL,
    attempt     integer     NOT NULL,
    worker      text        NOT NULL,
    state       text        NOT NULL CHECK (state IN ('running', 'done', 'failed', 'lost', 'cancelled')),
    error_kind  text,
    error       text,
    summary     jsonb,
    started_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    PRIMARY KEY (run, step, epoch),
    FOREIGN KEY (run, step) REFERENCES traider.step (run, name)
);

CREATE TABLE traider.asset (
    name       text        PRIMARY KEY,
    first_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE traider.asset_version (
    asset        text        NOT NULL REFERENCES traider.asset (name),
    partition    text        NOT NULL,
    sha256       text        NOT NULL,
    run          text        NOT NULL,
    step         text        NOT NULL,
    uri          text        NOT NULL,
    rows         bigint      NOT NULL,
    bytes        bigint      NOT NULL,
    min_ts_ns    bigint,
    max_ts_ns    bigint,
    schema_hash  text        NOT NULL,
    first_at     timestamptz NOT NULL DEFAULT now(),
    -- Moves when a later run makes the same bytes again: the newest good version is the one with the newest made_at.
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset, partition, sha256)
);
CREATE INDEX asset_version_newest ON traider.asset_version (asset, partition, made_at DESC);

CREATE TABLE traider.asset_output (
    run        text NOT NULL,
    step       text NOT NULL,
    asset      text NOT NULL,
    partition  text NOT NULL,
    sha256     text NOT NULL,
    PRIMARY KEY (run, step, asset, partition, sha256)
);

CREATE TABLE traider.asset_input (
    run     text NOT NULL,
    step    text NOT NULL,
    asset   text NOT NULL,
    sha256  text NOT NULL,
    PRIMARY KEY (run, step, asset, sha256)
);
CREATE INDEX asset_input_of ON traider.asset_input (asset, sha256);

-- What has had its effect, by deterministic key.
CREATE TABLE traider.effect (
    key     text        PRIMARY KEY,
    run     text        NOT NULL,
    step    text        NOT NULL,
    epoch   bigint      NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    result  jsonb
);

-- Messages for the world outside, written with the fact that causes them and sent later.
CREATE TABLE traider.outbox (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         text        NOT NULL UNIQUE,
    topic       text        NOT NULL,
    payload     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz
);
CREATE INDEX outbox_unsent ON traider.outbox (id) WHERE sent_at IS NULL;

CREATE TABLE traider.run_log (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run      text        NOT NULL,
    step     text        NOT NULL,
    attempt  integer     NOT NULL,
    ts       timestamptz NOT NULL,
    level    text        NOT NULL CHECK (level IN ('info', 'warn', 'error')),
    message  text        NOT NULL
);
CREATE INDEX run_log_of_run ON traider.run_log (run, id);

-- Changes of state, append-only; each row's hash covers the one before it in the same run.
CREATE TABLE traider.run_event (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run     text        NOT NULL,
    step    text        NOT NULL DEFAULT '',
    at      timestamptz NOT NULL,
    kind    text        NOT NULL,
    detail  text        NOT NULL DEFAULT '',
    hash    bytea       NOT NULL
);
CREATE INDEX run_event_of_run ON traider.run_event (run, id);
