-- In the order of their ids, so that two who lock many never wait for each other.
SELECT id, state, cancel_requested, clock_timestamp() AS at FROM traider.run WHERE id = ANY ($1) ORDER BY id FOR UPDATE
