SELECT version FROM traider.workflow_version WHERE name = $1 AND sha256 = $2
