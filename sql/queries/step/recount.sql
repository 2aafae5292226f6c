UPDATE traider.step AS s
SET missing = n.missing, needs_ok = n.ok, needs_failed = n.failed, held = false, progress = NULL
FROM (
    SELECT
        w.name,
        (count(*) FILTER (WHERE n.state IN ('waiting', 'ready', 'running')))::integer AS missing,
        (count(*) FILTER (WHERE n.state = 'done'))::integer AS ok,
        (count(*) FILTER (WHERE n.state IN ('failed', 'dead', 'cancelled', 'skipped')))::integer AS failed
    FROM traider.step AS w
    LEFT JOIN traider.step_dep AS d ON d.run = w.run AND d.step = w.name
    LEFT JOIN traider.step AS n ON n.run = d.run AND n.name = d.needs
    WHERE w.run = $1 AND w.state = 'waiting'
    GROUP BY w.name
) AS n
WHERE s.run = $1 AND s.name = n.name
RETURNING s.run, s.name, s.missing, s.needs_ok, s.needs_failed, s.when_needs, s.min_ok
