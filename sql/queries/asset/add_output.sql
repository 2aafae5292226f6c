INSERT INTO traider.asset_output (run, step, asset, partition, sha256)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
