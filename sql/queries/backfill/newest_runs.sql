SELECT DISTINCT ON (partition_key) partition_key AS partition, id AS run, state
FROM traider.run
WHERE workflow = $1 AND partition_key = ANY($2)
ORDER BY partition_key, generation DESC
