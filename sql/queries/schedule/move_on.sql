UPDATE traider.schedule SET last_slot = greatest(last_slot, $2), next_slot = $3 WHERE name = $1
