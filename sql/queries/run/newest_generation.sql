SELECT p.workflow, p.partition, r.id, r.generation, r.active
FROM unnest($1::text[], $2::text[]) AS p (workflow, partition)
CROSS JOIN LATERAL (
    SELECT id, generation, state IN ('queued', 'running') AS active
    FROM traider.run
    WHERE workflow = p.workflow AND partition_key = p.partition
    ORDER BY generation DESC
    LIMIT 1
) AS r
