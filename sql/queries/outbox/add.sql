INSERT INTO traider.outbox (key, topic, channel, payload) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING
