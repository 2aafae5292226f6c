-- The newest version, the versions its step read, the versions their steps read, and so on.
WITH RECURSIVE up (depth, asset, partition, sha256, run, step, made_at) AS (
    (
        SELECT 0, v.asset, v.partition, v.sha256, v.run, v.step, v.made_at
        FROM traider.asset_version AS v
        WHERE v.asset = $1 AND v.partition = $2
        ORDER BY v.made_at DESC
        LIMIT 1
    )
    UNION
    SELECT
        up.depth + 1, i.asset, coalesce(v.partition, ''), i.sha256, v.run, v.step, v.made_at
    FROM up
    JOIN traider.asset_input AS i ON i.run = up.run AND i.step = up.step
    LEFT JOIN traider.asset_version AS v ON v.asset = i.asset AND v.sha256 = i.sha256
    -- A step that reads what it made before is no loop to follow.
    WHERE up.depth < 20 AND (i.asset, i.sha256) <> (up.asset, up.sha256)
)
SELECT DISTINCT ON (min(depth), asset, partition, sha256)
    min(depth) AS depth, asset, partition, sha256, max(run) AS run, max(step) AS step, max(made_at) AS made_at
FROM up
GROUP BY asset, partition, sha256
ORDER BY min(depth), asset, partition, sha256
