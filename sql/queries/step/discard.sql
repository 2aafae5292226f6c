WITH s AS (
    UPDATE traider.step SET state = 'failed' WHERE run = $1 AND name = $2 AND state = 'dead' RETURNING run, name
)
DELETE FROM traider.live_step AS l USING s WHERE l.run = s.run AND l.name = s.name
