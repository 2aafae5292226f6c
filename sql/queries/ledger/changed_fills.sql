-- Fills of a portfolio that the database holds and the journals do not tell, or tell otherwise (I-22).
SELECT t.fill_id
  FROM traider.fills t
  LEFT JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                   $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::bigint[],
                   $17::bigint[], $18::bigint[])
       AS u (v, s, f, r, o, st, b, q, sd, p, n, fa, fm, m, sq, tv, tr)
    ON (t.venue, t.symbol, t.fill_id) = (v, s, f)
 WHERE t.portfolio = $1
   AND (t.run_id, t.order_id, t.strategy, t.base, t.quote, t.side, t.price, t.qty, t.fee_asset, t.fee_amount, t.maker,
        t.seq, t.ts_venue_ns, t.ts_recv_ns)
       IS DISTINCT FROM (r, o, st, b, q, sd, p::numeric, n::numeric, fa, fm::numeric, m, sq, tv, tr)
 ORDER BY t.fill_id
 LIMIT 3
