SELECT step, at, kind, detail, encode(hash, 'hex') AS hash
FROM traider.run_event
WHERE run = $1
ORDER BY id
