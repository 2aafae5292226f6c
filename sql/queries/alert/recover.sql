UPDATE traider.alert
SET recovered_at = now(), last_at = now()
WHERE key = ANY ($1) AND recovered_at IS NULL
RETURNING key, kind, workflow, partition, run, step, detail, channels, generation
