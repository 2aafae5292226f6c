SELECT
    b.id, b.workflow, b.version, b.first_key, b.last_key, b.params, b.direction, b.reprocess, b.max_active, b.state,
    b.created_at, b.ended_at,
    c.pending, c.active, c.done, c.failed, c.kept, c.cancelled,
    t.typical_s * ceil((c.pending + c.active)::float8 / b.max_active) AS eta_s
FROM traider.backfill AS b
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE p.state = 'pending') AS pending,
        count(*) FILTER (WHERE p.state = 'started' AND r.state IN ('queued', 'running')) AS active,
        count(*) FILTER (WHERE p.state = 'started' AND r.state = 'done') AS done,
        count(*) FILTER (WHERE p.state = 'started' AND r.state = 'failed') AS failed,
        count(*) FILTER (WHERE p.state = 'kept') AS kept,
        count(*) FILTER (WHERE p.state = 'cancelled' OR (p.state = 'started' AND r.state = 'cancelled')) AS cancelled
    FROM traider.backfill_part AS p
    LEFT JOIN traider.run AS r ON r.id = p.run
    WHERE p.backfill = b.id
) AS c
LEFT JOIN LATERAL (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.ended_at - d.started_at))::float8 AS typical_s
    FROM (
        SELECT r.started_at, r.ended_at
        FROM traider.run AS r
        WHERE r.workflow = b.workflow AND r.state = 'done' AND r.started_at IS NOT NULL
        ORDER BY r.queued_at DESC, r.id DESC
        LIMIT 200
    ) AS d
) AS t ON b.state IN ('running', 'paused')
WHERE $1::text IS NULL OR b.id = $1
ORDER BY b.id DESC
LIMIT $2
