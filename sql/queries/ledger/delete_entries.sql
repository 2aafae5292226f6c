-- What is no longer proven: an assumed opening balance goes when a late fill shows where the asset came from.
DELETE FROM traider.entries WHERE portfolio = $1 AND NOT (id = ANY ($2::text[]))
