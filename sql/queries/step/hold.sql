UPDATE traider.step SET held = true WHERE run = $1 AND name = $2 AND state = 'ready'
