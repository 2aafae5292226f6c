-- The newest run of each workflow that was ever run.
SELECT w.name AS workflow, r.id AS run, r.version, v.sha256, r.partition_key AS partition, r.state, r.queued_at
FROM unnest($1::text[]) AS w (name)
CROSS JOIN LATERAL (
    SELECT id, version, partition_key, state, queued_at
    FROM traider.run
    WHERE workflow = w.name
    ORDER BY queued_at DESC, id DESC
    LIMIT 1
) AS r
JOIN traider.workflow_version AS v ON v.name = w.name AND v.version = r.version
ORDER BY w.name
