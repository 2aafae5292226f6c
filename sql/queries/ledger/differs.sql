-- Per table: rows that only the ledger has, and rows that only the scratch tables have; three of each.
SELECT 'ledger_run' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.ledger_run t EXCEPT SELECT t::text FROM pg_temp.ledger_run t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.ledger_run t EXCEPT SELECT t::text FROM traider.ledger_run t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'orders' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.orders t EXCEPT SELECT t::text FROM pg_temp.orders t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.orders t EXCEPT SELECT t::text FROM traider.orders t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'fills' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.fills t EXCEPT SELECT t::text FROM pg_temp.fills t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.fills t EXCEPT SELECT t::text FROM traider.fills t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'entries' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.entries t EXCEPT SELECT t::text FROM pg_temp.entries t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.entries t EXCEPT SELECT t::text FROM traider.entries t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'postings' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.postings t EXCEPT SELECT t::text FROM pg_temp.postings t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.postings t EXCEPT SELECT t::text FROM traider.postings t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'lots' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.lots t EXCEPT SELECT t::text FROM pg_temp.lots t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.lots t EXCEPT SELECT t::text FROM traider.lots t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'lot_matches' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.lot_matches t EXCEPT SELECT t::text FROM pg_temp.lot_matches t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.lot_matches t EXCEPT SELECT t::text FROM traider.lot_matches t ORDER BY 1 LIMIT 3) d) AS journals_only
UNION ALL
SELECT 'marks' AS name,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM traider.marks t EXCEPT SELECT t::text FROM pg_temp.marks t ORDER BY 1 LIMIT 3) d) AS ledger_only,
       (SELECT string_agg(d.r, '; ') FROM (SELECT t::text AS r FROM pg_temp.marks t EXCEPT SELECT t::text FROM traider.marks t ORDER BY 1 LIMIT 3) d) AS journals_only
