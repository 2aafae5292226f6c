-- How far a run's journal has been booked.
SELECT last_seq FROM traider.ledger_run WHERE run_id = $1
