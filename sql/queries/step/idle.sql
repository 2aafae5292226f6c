SELECT name FROM traider.step WHERE run = $1 AND state IN ('waiting', 'ready') ORDER BY ordinal
