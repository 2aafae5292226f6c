SET LOCAL lock_timeout = '5s';
LOCK TABLE traider.run_log, traider.run_log_%DAY% IN ACCESS EXCLUSIVE MODE
