UPDATE apalis.workers SET last_seen = now() WHERE id = ANY ($1)
