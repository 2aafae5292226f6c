-- In the order given: the numbers of a run's events follow the chain of their hashes.
INSERT INTO traider.run_event (run, step, at, kind, detail, hash)
SELECT e.run, e.step, $6, e.kind, e.detail, e.hash
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
    WITH ORDINALITY AS e (run, step, kind, detail, hash, n)
ORDER BY e.n
