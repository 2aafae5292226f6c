SELECT id FROM traider.run WHERE id >= $1 AND id LIKE $1 || '%' ORDER BY id LIMIT 2
