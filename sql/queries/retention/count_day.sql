SELECT count(*), coalesce(sum(id), 0)::text FROM traider.run_log_%DAY%
