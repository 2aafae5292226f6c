SELECT pg_notify('traider::cancel', $1)
