INSERT INTO traider.lots AS t
       (id, portfolio, run_id, venue, asset, currency, opened_ns, seq, qty, cost, left_qty, left_cost, assumed)
SELECT id, $1, r, v, a, c, o, s, q::numeric, k::numeric, lq::numeric, lc::numeric, m
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[],
              $10::text[], $11::text[], $12::text[], $13::boolean[]) AS u (id, r, v, a, c, o, s, q, k, lq, lc, m)
ON CONFLICT (id) DO UPDATE
   SET opened_ns = excluded.opened_ns, seq = excluded.seq, qty = excluded.qty, cost = excluded.cost,
       left_qty = excluded.left_qty, left_cost = excluded.left_cost
 WHERE (t.opened_ns, t.seq, t.qty, t.cost, t.left_qty, t.left_cost)
       IS DISTINCT FROM
       (excluded.opened_ns, excluded.seq, excluded.qty, excluded.cost, excluded.left_qty, excluded.left_cost)
