-- Another process that has it does the same.
SELECT b.id, b.workflow, b.version, v.sha256, v.definition, b.params, b.reprocess, b.max_active
FROM traider.backfill AS b
JOIN traider.workflow_version AS v ON v.name = b.workflow AND v.version = b.version
WHERE b.id = $1 AND b.state = 'running'
FOR UPDATE OF b SKIP LOCKED
