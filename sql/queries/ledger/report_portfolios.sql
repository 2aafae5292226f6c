-- Books with a fill or an order in the day, and books that held something when it began: a position changes its worth
-- without anybody trading, and the days of a position sum to its total only if no day is missing. Backtests have their
-- own reports.
SELECT DISTINCT r.portfolio
  FROM traider.ledger_run r
 WHERE r.mode <> 'backtest'
   AND (EXISTS (SELECT FROM traider.fills f WHERE f.portfolio = r.portfolio
                   AND CASE WHEN f.ts_venue_ns = 0 THEN f.ts_recv_ns ELSE f.ts_venue_ns END BETWEEN $1 AND $2)
        OR EXISTS (SELECT FROM traider.orders o WHERE o.portfolio = r.portfolio AND o.created_ns BETWEEN $1 AND $2)
        -- Lots are as of now: open then is what is open now or was closed since.
        OR EXISTS (SELECT FROM traider.lots l WHERE l.portfolio = r.portfolio AND l.opened_ns < $1
                   AND (l.left_qty > 0
                        OR EXISTS (SELECT FROM traider.lot_matches m WHERE m.lot_id = l.id AND m.closed_ns >= $1))))
 ORDER BY 1
