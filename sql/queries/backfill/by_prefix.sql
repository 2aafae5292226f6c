SELECT id FROM traider.backfill WHERE id >= $1 AND id LIKE $1 || '%' ORDER BY id LIMIT 2
