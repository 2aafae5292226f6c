INSERT INTO traider.marks AS t (run_id, symbol, portfolio, seq, price, ts_ns)
SELECT r, s, $1, n, p::numeric, ts
  FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[]) AS u (r, s, n, p, ts)
ON CONFLICT (run_id, symbol) DO UPDATE SET seq = excluded.seq, price = excluded.price, ts_ns = excluded.ts_ns
 WHERE (t.seq, t.price, t.ts_ns) IS DISTINCT FROM (excluded.seq, excluded.price, excluded.ts_ns)
