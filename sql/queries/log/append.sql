INSERT INTO traider.run_log (run, step, attempt, ts, level, message)
SELECT $1, $2, $3, l.ts, l.level, l.message
FROM unnest($4::timestamptz[], $5::text[], $6::text[]) AS l (ts, level, message)
