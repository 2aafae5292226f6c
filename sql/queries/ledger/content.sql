-- One hash per table over all rows in the order of their keys.
SELECT 'ledger_run' AS name, encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY run_id COLLATE "C"), ''), 'UTF8')), 'hex') AS hash FROM traider.ledger_run t
UNION ALL
SELECT 'orders', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY portfolio COLLATE "C", order_id COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.orders t
UNION ALL
SELECT 'fills', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY portfolio COLLATE "C", venue COLLATE "C", symbol COLLATE "C", fill_id COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.fills t
UNION ALL
SELECT 'entries', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY id COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.entries t
UNION ALL
SELECT 'postings', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY entry_id COLLATE "C", line), ''), 'UTF8')), 'hex') FROM traider.postings t
UNION ALL
SELECT 'lots', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY id COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.lots t
UNION ALL
SELECT 'lot_matches', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY id COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.lot_matches t
UNION ALL
SELECT 'marks', encode(sha256(convert_to(coalesce(string_agg(t::text, E'\n' ORDER BY run_id COLLATE "C", symbol COLLATE "C"), ''), 'UTF8')), 'hex') FROM traider.marks t
ORDER BY 1
