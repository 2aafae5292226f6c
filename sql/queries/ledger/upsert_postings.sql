INSERT INTO traider.postings AS t (entry_id, line, account, asset, amount)
SELECT e, l, a, s, n::numeric FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::text[]) AS u (e, l, a, s, n)
ON CONFLICT (entry_id, line) DO UPDATE SET account = excluded.account, asset = excluded.asset, amount = excluded.amount
 WHERE (t.account, t.asset, t.amount) IS DISTINCT FROM (excluded.account, excluded.asset, excluded.amount)
