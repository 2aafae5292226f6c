INSERT INTO traider.asset (name) VALUES ($1) ON CONFLICT (name) DO NOTHING
