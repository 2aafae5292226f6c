SELECT queue, attempt, lease_epoch FROM traider.step WHERE run = $1 AND name = $2
