SELECT
    (
        SELECT count(*)
        FROM traider.open_run AS o
        JOIN traider.run AS r ON r.id = o.run
        WHERE r.state IN ('queued', 'running')
    ) AS active,
    (
        SELECT count(*)
        FROM traider.live_step AS l
        JOIN traider.step AS s ON s.run = l.run AND s.name = l.name
        WHERE s.state = 'dead'
    ) AS dead,
    (SELECT count(*) FROM traider.alert WHERE recovered_at IS NULL) AS alerts,
    (SELECT count(*) FROM traider.schedule WHERE paused AND active) AS schedules_paused,
    (SELECT count(*) FROM traider.queue_pause) AS queues_paused,
    (SELECT count(*) FROM traider.backfill WHERE state IN ('running', 'paused')) AS backfills,
    (SELECT count(*) FROM apalis.workers WHERE last_seen > now() - make_interval(secs => $1)) AS workers
