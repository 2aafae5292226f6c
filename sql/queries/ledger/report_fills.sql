-- Everything the books of the day rest on.
SELECT run_id, venue, symbol, fill_id, order_id, strategy, base, quote, side, price::text, qty::text, fee_asset,
       fee_amount::text, maker, seq, ts_venue_ns, ts_recv_ns
  FROM traider.fills
 WHERE portfolio = $1 AND CASE WHEN ts_venue_ns = 0 THEN ts_recv_ns ELSE ts_venue_ns END <= $2
 ORDER BY seq, venue COLLATE "C", symbol COLLATE "C", fill_id COLLATE "C"
