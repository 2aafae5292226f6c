INSERT INTO traider.ledger_run AS t (run_id, portfolio, mode, last_seq) VALUES ($1, $2, $3, $4)
ON CONFLICT (run_id) DO UPDATE SET last_seq = excluded.last_seq WHERE t.last_seq <> excluded.last_seq
