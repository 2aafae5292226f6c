-- Rows of a table, and the sum of their hashes: the same for the same rows in any order. %TABLE% is its quoted name.
SELECT count(*) AS rows,
       coalesce(sum(('x' || left(encode(sha256(convert_to(t::text, 'UTF8')), 'hex'), 16))::bit(64)::bigint::numeric), 0)::text AS content
  FROM %TABLE% t
