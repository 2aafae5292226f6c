UPDATE traider.outbox SET sent_at = now(), last_error = $2 WHERE id = $1
