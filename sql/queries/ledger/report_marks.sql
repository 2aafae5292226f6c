-- The newest price per symbol, unless it is of a later day: then it says nothing about this one, and no older price is
-- the last of this day either.
SELECT symbol, price::text AS price, ts_ns
  FROM (SELECT DISTINCT ON (symbol) symbol, price, ts_ns
          FROM traider.marks
         WHERE portfolio = $1
         ORDER BY symbol, ts_ns DESC, run_id COLLATE "C" DESC) newest
 WHERE ts_ns <= $2
 ORDER BY symbol COLLATE "C"
