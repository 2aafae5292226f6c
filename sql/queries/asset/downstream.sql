-- The partition's versions, what steps that read one of them made, and so on.
WITH RECURSIVE down (depth, asset, partition, sha256, run, step, made_at) AS (
    SELECT 0, v.asset, v.partition, v.sha256, v.run, v.step, v.made_at
    FROM traider.asset_version AS v
    WHERE v.asset = $1 AND v.partition = $2
    UNION
    SELECT
        down.depth + 1, coalesce(o.asset, ''), coalesce(o.partition, ''), coalesce(o.sha256, ''), i.run, i.step, v.made_at
    FROM down
    JOIN traider.asset_input AS i ON i.asset = down.asset AND i.sha256 = down.sha256
    LEFT JOIN traider.asset_output AS o ON o.run = i.run AND o.step = i.step
    LEFT JOIN traider.asset_version AS v ON v.asset = o.asset AND v.partition = o.partition AND v.sha256 = o.sha256
    WHERE down.depth < 20 AND down.asset <> ''
)
SELECT DISTINCT ON (depth, asset, partition, sha256, run, step) depth, asset, partition, sha256, run, step, made_at
FROM (
    SELECT min(depth) OVER (PARTITION BY asset, partition, sha256, run, step) AS depth, asset, partition, sha256, run, step, made_at
    FROM down
) AS d
ORDER BY depth, asset, partition, sha256, run, step
