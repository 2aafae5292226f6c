UPDATE traider.step AS s
SET missing = s.missing - 1, needs_failed = s.needs_failed + $3::integer
FROM traider.step_dep AS d
WHERE d.run = $1 AND d.needs = $2
  AND s.run = d.run AND s.name = d.step AND s.state = 'waiting'
RETURNING s.name, s.missing, s.needs_failed, s.when_needs
