SELECT run_id, order_id, venue, symbol, strategy, signal, side, kind, tif, price::text, qty::text, filled::text, state,
       reason, created_seq, created_ns, updated_seq, updated_ns
  FROM traider.orders
 WHERE portfolio = $1 AND created_ns BETWEEN $2 AND $3
 ORDER BY created_ns, created_seq, order_id COLLATE "C"
