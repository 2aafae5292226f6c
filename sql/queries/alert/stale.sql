-- Assets that lack the partition of a slot after which another slot has come already.
WITH due AS (
    SELECT c.name, c.workflow, d.partition
    FROM traider.schedule AS c
    CROSS JOIN LATERAL (
        SELECT s.partition FROM traider.slot AS s WHERE s.schedule = c.name AND s.slot <= $1 ORDER BY s.slot DESC OFFSET 1 LIMIT 1
    ) AS d
    WHERE c.active
),
made AS (
    SELECT d.workflow, d.partition AS due, o.asset, max(o.partition) AS newest
    FROM due AS d
    JOIN traider.run AS r ON r.workflow = d.workflow AND r.queued_at > $1::timestamptz - interval '40 days'
    JOIN traider.asset_output AS o ON o.run = r.id
    GROUP BY d.workflow, d.partition, o.asset
)
SELECT
    concat_ws('/', 'stale', asset) AS key, 'stale' AS kind, workflow, due AS partition, NULL::text AS run, NULL::text AS step,
    format('%s ends with %s; %s was due', asset, newest, due) AS detail, '{}'::text[] AS channels
FROM made
WHERE newest < due
