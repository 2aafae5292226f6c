DELETE FROM traider.lots WHERE portfolio = $1 AND NOT (id = ANY ($2::text[]))
