-- The oldest messages that are due, out of reach for others for a minute.
UPDATE traider.outbox AS o
SET attempts = o.attempts + 1, next_at = now() + interval '60 s'
FROM (
    SELECT id
    FROM traider.outbox
    WHERE sent_at IS NULL AND next_at <= now()
    ORDER BY id
    LIMIT 20
    FOR UPDATE SKIP LOCKED
) AS d
WHERE o.id = d.id
RETURNING o.id, o.key, o.topic, o.channel, o.payload, o.created_at, o.attempts
