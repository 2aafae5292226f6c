SELECT count(*) FROM traider.run WHERE state IN ('queued', 'running')
