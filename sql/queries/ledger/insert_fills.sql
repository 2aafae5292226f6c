-- A fill is a fact: told again it changes nothing; told differently it is found by changed_fills.sql.
INSERT INTO traider.fills
       (portfolio, venue, symbol, fill_id, run_id, order_id, strategy, base, quote, side, price, qty, fee_asset,
        fee_amount, maker, seq, ts_venue_ns, ts_recv_ns)
SELECT $1, v, s, f, r, o, st, b, q, sd, p::numeric, n::numeric, fa, fm::numeric, m, seq, tv, tr
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::bigint[],
              $17::bigint[], $18::bigint[])
       AS u (v, s, f, r, o, st, b, q, sd, p, n, fa, fm, m, seq, tv, tr)
ON CONFLICT (portfolio, venue, symbol, fill_id) DO NOTHING
