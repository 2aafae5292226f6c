-- Entries that do not sum to zero in every asset (I-20).
SELECT e.portfolio, p.entry_id, p.asset, sum(p.amount)::text AS total
  FROM traider.postings p
  JOIN traider.entries e ON e.id = p.entry_id
 GROUP BY e.portfolio, p.entry_id, p.asset
HAVING sum(p.amount) <> 0
 ORDER BY e.portfolio COLLATE "C", p.entry_id COLLATE "C", p.asset COLLATE "C"
 LIMIT 20
