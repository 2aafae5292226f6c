SELECT r.id AS run, e.hash
FROM unnest($1::text[]) AS r (id)
CROSS JOIN LATERAL (SELECT hash FROM traider.run_event WHERE run = r.id ORDER BY id DESC LIMIT 1) AS e
