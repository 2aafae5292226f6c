-- Books with a fill or an order in the day; backtests have their own reports.
SELECT DISTINCT r.portfolio
  FROM traider.ledger_run r
 WHERE r.mode <> 'backtest'
   AND (EXISTS (SELECT FROM traider.fills f WHERE f.portfolio = r.portfolio
                   AND CASE WHEN f.ts_venue_ns = 0 THEN f.ts_recv_ns ELSE f.ts_venue_ns END BETWEEN $1 AND $2)
        OR EXISTS (SELECT FROM traider.orders o WHERE o.portfolio = r.portfolio AND o.created_ns BETWEEN $1 AND $2))
 ORDER BY 1
