SELECT
    s.name, s.job, s.queue, s.state, s.attempt, s.attempts_max, s.params, s.lease_owner AS worker, s.heartbeat_at,
    s.run_at, s.error_kind, s.error, s.summary, s.progress, s.deadline, s.held, s.started_at,
    s.ended_at,
    coalesce(
        (SELECT array_agg(d.needs ORDER BY d.needs) FROM traider.step_dep AS d WHERE d.run = s.run AND d.step = s.name),
        '{}'
    ) AS needs
FROM traider.step AS s
WHERE s.run = $1
ORDER BY s.ordinal
