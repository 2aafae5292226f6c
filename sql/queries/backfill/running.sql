SELECT id FROM traider.backfill WHERE state = 'running' ORDER BY id
