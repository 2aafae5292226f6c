SELECT id, run, step, attempt, ts, level, message FROM traider.run_log WHERE ts >= $1 AND ts < $2 ORDER BY id
