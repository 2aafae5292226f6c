SELECT state, cancel_requested FROM traider.run WHERE id = $1 FOR UPDATE SKIP LOCKED
