SELECT EXISTS (SELECT FROM traider.step WHERE run = $1 AND name = $2 AND state = 'ready' AND task_id IS NOT DISTINCT FROM $3)
