-- A long history: runs of ten workflows over years, one in a thousand failed, one in fifty a single job.
WITH v AS (
    INSERT INTO traider.workflow_version (name, version, sha256, definition)
    SELECT 'history-' || n, 1, 'history', '{}'::jsonb FROM generate_series(0, 9) AS n
    UNION ALL
    SELECT 'job:history', 1, 'history', '{}'::jsonb
    ON CONFLICT DO NOTHING
),
r AS (
    INSERT INTO traider.run
        (id, workflow, version, partition_key, generation, trigger, params, state, queued_at, started_at, ended_at)
    SELECT
        'H' || lpad(n::text, 25, '0'),
        CASE WHEN n % 50 = 7 THEN 'job:history' ELSE 'history-' || n % 10 END,
        1, 'p-' || n, 1, 'schedule', '{}'::jsonb,
        CASE WHEN n % 1000 = 1 THEN 'failed' ELSE 'done' END,
        now() - make_interval(secs => n * 100), now() - make_interval(secs => n * 100 - 1),
        now() - make_interval(secs => n * 100 - 2)
    FROM generate_series(1, $1) AS n
    ON CONFLICT DO NOTHING
    RETURNING id, state
),
o AS (
    INSERT INTO traider.open_run (run) SELECT id FROM r WHERE state <> 'done'
)
INSERT INTO traider.step
    (run, name, ordinal, job, queue, params, when_needs, retry, timeout_s, grace_s, state, missing, attempts_max)
SELECT 'H' || lpad(n::text, 25, '0'), 'a', 0, 'noop', 'io', '{}', 'success', '{}', 60, 1, 'done', 0, 1
FROM generate_series(1, $1) AS n
