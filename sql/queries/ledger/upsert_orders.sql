INSERT INTO traider.orders AS t
       (portfolio, order_id, run_id, venue, symbol, strategy, signal, side, kind, tif, price, qty, filled, state, reason,
        created_seq, created_ns, updated_seq, updated_ns)
SELECT $1, o, r, v, s, st, sg, sd, k, tf, p::numeric, q::numeric, f::numeric, state, reason, cs, cn, us, un
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
              $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[],
              $17::bigint[], $18::bigint[], $19::bigint[])
       AS u (o, r, v, s, st, sg, sd, k, tf, p, q, f, state, reason, cs, cn, us, un)
ON CONFLICT (portfolio, order_id) DO UPDATE
   SET filled = excluded.filled, state = excluded.state, reason = excluded.reason,
       updated_seq = excluded.updated_seq, updated_ns = excluded.updated_ns
 WHERE (t.filled, t.state, t.reason, t.updated_seq, t.updated_ns)
       IS DISTINCT FROM (excluded.filled, excluded.state, excluded.reason, excluded.updated_seq, excluded.updated_ns)
