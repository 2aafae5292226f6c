DELETE FROM traider.outbox WHERE sent_at < now() - make_interval(secs => $1)
