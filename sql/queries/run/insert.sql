INSERT INTO traider.run (
    id, workflow, version, partition_key, generation, trigger, params, state, priority, schedule, slot, backfill
)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10, $11)
