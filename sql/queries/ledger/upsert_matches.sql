INSERT INTO traider.lot_matches AS t
       (id, lot_id, disposal_id, portfolio, run_id, venue, asset, currency, opened_ns, closed_ns, seq, qty, cost,
        proceeds, gain, assumed)
SELECT id, l, d, $1, r, v, a, c, o, e, s, q::numeric, k::numeric, p::numeric, g::numeric, m
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
              $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::boolean[])
       AS u (id, l, d, r, v, a, c, o, e, s, q, k, p, g, m)
ON CONFLICT (id) DO UPDATE
   SET opened_ns = excluded.opened_ns, closed_ns = excluded.closed_ns, seq = excluded.seq, qty = excluded.qty,
       cost = excluded.cost, proceeds = excluded.proceeds, gain = excluded.gain
 WHERE (t.opened_ns, t.closed_ns, t.seq, t.qty, t.cost, t.proceeds, t.gain)
       IS DISTINCT FROM
       (excluded.opened_ns, excluded.closed_ns, excluded.seq, excluded.qty, excluded.cost, excluded.proceeds, excluded.gain)
