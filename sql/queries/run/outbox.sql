INSERT INTO traider.outbox (key, topic, payload) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING
