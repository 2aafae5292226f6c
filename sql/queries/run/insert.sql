INSERT INTO traider.run (id, workflow, version, partition_key, generation, trigger, params, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued')
