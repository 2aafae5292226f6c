INSERT INTO traider.backfill (
    id, workflow, version, first_key, last_key, params, direction, reprocess, max_active, state, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'running', $10)
