DELETE FROM traider.lot_matches WHERE portfolio = $1 AND NOT (id = ANY ($2::text[]))
