DELETE FROM apalis.workers WHERE last_seen < now() - make_interval(secs => $1)
