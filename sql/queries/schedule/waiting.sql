SELECT slot, late, partition, not_before
FROM traider.slot
WHERE schedule = $1 AND state = 'waiting'
ORDER BY slot
LIMIT $2
