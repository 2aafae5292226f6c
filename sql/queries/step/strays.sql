-- Ready steps whose task is gone. Steps of a paused queue and steps that wait for a shared limit still used up are where
-- they belong.
SELECT s.run, s.name, s.task_id
FROM traider.live_step AS l
JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
LEFT JOIN apalis.jobs AS j ON j.id = s.task_id
WHERE s.state = 'ready'
  AND s.run_at < now() - make_interval(secs => $1)
  AND (j.status IS NULL OR j.status <> 'Pending')
  AND NOT EXISTS (SELECT FROM traider.queue_pause AS q WHERE q.queue = s.queue)
  AND (
      NOT s.held
      OR s.concurrency_max > (
          SELECT count(*)
          FROM traider.live_step AS m
          JOIN traider.step AS r ON r.run = m.run AND r.name = m.name
          WHERE m.shared = s.concurrency_key AND r.state = 'running'
      )
  )
LIMIT 200
