INSERT INTO traider.asset_version
    (asset, partition, sha256, run, step, uri, rows, bytes, min_ts_ns, max_ts_ns, schema_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (asset, partition, sha256)
DO UPDATE SET made_at = clock_timestamp(), run = excluded.run, step = excluded.step, uri = excluded.uri
