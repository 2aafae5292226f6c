DROP TABLE traider.run_log_%DAY%
