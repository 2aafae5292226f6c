INSERT INTO traider.effect (key, run, step, epoch, result) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING
