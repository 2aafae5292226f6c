WITH r AS (
    UPDATE traider.run
    SET state = 'queued', cancel_requested = false, error = NULL, ended_at = NULL
    WHERE id = $1
    RETURNING id
)
INSERT INTO traider.open_run (run) SELECT id FROM r ON CONFLICT DO NOTHING
