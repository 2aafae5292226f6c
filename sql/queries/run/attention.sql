SELECT
    (SELECT count(*) FROM traider.run WHERE state IN ('queued', 'running')) AS active,
    (SELECT count(*) FROM traider.step WHERE state = 'dead') AS dead,
    (SELECT count(*) FROM traider.alert WHERE recovered_at IS NULL) AS alerts,
    (SELECT count(*) FROM traider.schedule WHERE paused AND active) AS schedules_paused,
    (SELECT count(*) FROM traider.queue_pause) AS queues_paused,
    (SELECT count(*) FROM traider.backfill WHERE state IN ('running', 'paused')) AS backfills,
    (SELECT count(*) FROM apalis.workers WHERE last_seen > now() - make_interval(secs => $1)) AS workers
