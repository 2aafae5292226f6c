-- Days of the log with a table of their own.
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'traider.run_log'::regclass AND c.relname ~ '^run_log_[0-9]{8}$'
 ORDER BY 1
