WITH gone AS (
    UPDATE traider.schedule SET active = false, next_slot = NULL WHERE name = ANY($1) AND active RETURNING name
)
UPDATE traider.slot AS s
SET state = 'cancelled', detail = 'its schedule is gone', at = now()
FROM gone
WHERE s.schedule = gone.name AND s.state = 'waiting'
