SELECT run_id, mode FROM traider.ledger_run WHERE portfolio = $1 ORDER BY run_id COLLATE "C"
