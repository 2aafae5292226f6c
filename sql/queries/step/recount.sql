UPDATE traider.step AS s
SET needs_failed = 0,
    missing = (
        SELECT count(*)
        FROM traider.step_dep AS d
        JOIN traider.step AS n ON n.run = d.run AND n.name = d.needs
        WHERE d.run = s.run AND d.step = s.name AND n.state = 'waiting'
    )
WHERE s.run = $1 AND s.state = 'waiting'
RETURNING s.name, s.missing, s.needs_failed, s.when_needs
