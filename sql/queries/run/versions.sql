SELECT version, sha256, definition, loaded_at
FROM traider.workflow_version
WHERE name = $1
ORDER BY version DESC
