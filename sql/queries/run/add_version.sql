INSERT INTO traider.workflow_version (name, version, sha256, definition)
SELECT $1, coalesce(max(version), 0) + 1, $2, $3
FROM traider.workflow_version
WHERE name = $1
RETURNING version
