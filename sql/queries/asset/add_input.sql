INSERT INTO traider.asset_input (run, step, asset, sha256) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
