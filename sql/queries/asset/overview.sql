-- Every asset with its newest partition and what an open alert says about it.
SELECT
    a.name AS asset, n.partition, n.sha256, n.rows, n.bytes, n.made_at, n.run, n.step, c.partitions, t.detail AS stale
FROM traider.asset AS a
CROSS JOIN LATERAL (
    SELECT partition, sha256, rows, bytes, made_at, run, step
    FROM traider.asset_version
    WHERE asset = a.name
    ORDER BY partition DESC, made_at DESC
    LIMIT 1
) AS n
CROSS JOIN LATERAL (
    SELECT count(DISTINCT partition) AS partitions FROM traider.asset_version WHERE asset = a.name
) AS c
LEFT JOIN traider.alert AS t ON t.key = 'stale/' || a.name AND t.recovered_at IS NULL
ORDER BY a.name
LIMIT $1
