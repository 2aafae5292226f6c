-- Opens the alert, or notes that it was seen again. Only one that opens has a message.
INSERT INTO traider.alert AS a (key, kind, workflow, partition, run, step, detail, channels)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (key) DO UPDATE
SET seen = CASE WHEN a.recovered_at IS NULL THEN a.seen + 1 ELSE 1 END,
    generation = CASE WHEN a.recovered_at IS NULL THEN a.generation ELSE a.generation + 1 END,
    opened_at = CASE WHEN a.recovered_at IS NULL THEN a.opened_at ELSE now() END,
    kind = excluded.kind, run = excluded.run, step = excluded.step, detail = excluded.detail, channels = excluded.channels,
    last_at = now(), recovered_at = NULL
RETURNING generation, seen = 1 AS opened
