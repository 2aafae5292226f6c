SELECT asset, partition, sha256, run, step, uri, rows, bytes, min_ts_ns, max_ts_ns, schema_hash, made_at
FROM traider.asset_version
WHERE asset = $1 AND partition = $2
ORDER BY made_at DESC
