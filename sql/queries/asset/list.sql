-- The newest version of every partition, newest partition first.
SELECT asset, partition, sha256, run, step, uri, rows, bytes, min_ts_ns, max_ts_ns, schema_hash, made_at
FROM (
    SELECT DISTINCT ON (asset, partition) *
    FROM traider.asset_version
    WHERE $1::text IS NULL OR asset = $1 OR asset LIKE $1 || '/%'
    ORDER BY asset, partition, made_at DESC
) AS newest
ORDER BY partition DESC, asset
LIMIT $2
