SELECT id, coalesce(schedule = $2, false) AS ours, partition_key AS partition, cancel_requested
FROM traider.run
WHERE workflow = $1 AND state IN ('queued', 'running')
