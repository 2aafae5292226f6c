-- How far each run's journal is booked.
SELECT run_id, last_seq FROM traider.ledger_run ORDER BY run_id COLLATE "C"
