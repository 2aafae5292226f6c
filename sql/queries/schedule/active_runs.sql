SELECT r.id, coalesce(r.schedule = $2, false) AS ours, r.partition_key AS partition, r.cancel_requested
FROM traider.open_run AS o
JOIN traider.run AS r ON r.id = o.run
WHERE r.workflow = $1 AND r.state IN ('queued', 'running')
