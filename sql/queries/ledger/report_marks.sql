-- Last price per symbol, and whether the books went on after the day: then the price is of a later day.
SELECT m.symbol, m.price::text AS price
  FROM traider.marks m
 WHERE m.portfolio = $1
   AND NOT EXISTS (SELECT FROM traider.fills f WHERE f.portfolio = $1 AND f.ts_recv_ns > $2)
   AND NOT EXISTS (SELECT FROM traider.orders o WHERE o.portfolio = $1 AND o.updated_ns > $2)
 ORDER BY m.seq, m.run_id COLLATE "C", m.symbol COLLATE "C"
