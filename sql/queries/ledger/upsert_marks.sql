INSERT INTO traider.marks AS t (run_id, symbol, portfolio, seq, price)
SELECT r, s, $1, n, p::numeric FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) AS u (r, s, n, p)
ON CONFLICT (run_id, symbol) DO UPDATE SET seq = excluded.seq, price = excluded.price
 WHERE (t.seq, t.price) IS DISTINCT FROM (excluded.seq, excluded.price)
