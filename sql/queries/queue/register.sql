INSERT INTO apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
VALUES ($1, $2, 'traider', '', now(), now())
ON CONFLICT (id) DO UPDATE SET last_seen = now()
