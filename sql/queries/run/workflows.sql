-- Every workflow that was ever loaded, with its newest version and its newest run. Jobs started by themselves are none.
SELECT
    w.name, w.version, w.definition ->> 'description' AS description, w.loaded_at,
    r.id AS run, r.partition_key AS partition, r.state, r.queued_at, r.ended_at, a.active
FROM (
    SELECT DISTINCT ON (name) name, version, definition, loaded_at
    FROM traider.workflow_version
    WHERE name NOT LIKE 'job:%'
    ORDER BY name, version DESC
) AS w
LEFT JOIN LATERAL (
    SELECT id, partition_key, state, queued_at, ended_at
    FROM traider.run
    WHERE workflow = w.name
    ORDER BY queued_at DESC, id DESC
    LIMIT 1
) AS r ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS active
    FROM traider.open_run AS o
    JOIN traider.run AS u ON u.id = o.run
    WHERE u.workflow = w.name AND u.state IN ('queued', 'running')
) AS a
ORDER BY w.name
