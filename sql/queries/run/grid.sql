SELECT
    p.partition_key AS partition, p.id AS run, p.state, p.generation, p.trigger, p.ended_at,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'state', s.state) ORDER BY s.ordinal), '[]')
        FROM traider.step AS s
        WHERE s.run = p.id
    ) AS steps
FROM (
    SELECT DISTINCT ON (partition_key) *
    FROM traider.run
    WHERE workflow = $1
    ORDER BY partition_key DESC, generation DESC
    LIMIT $2
) AS p
ORDER BY p.partition_key DESC
