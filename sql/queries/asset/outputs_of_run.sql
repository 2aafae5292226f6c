SELECT o.step, v.asset, v.partition, v.sha256, v.uri, v.rows, v.bytes, v.min_ts_ns, v.max_ts_ns, v.schema_hash
FROM traider.asset_output AS o
JOIN traider.asset_version AS v USING (asset, partition, sha256)
WHERE o.run = $1
ORDER BY o.step, v.asset, v.partition
