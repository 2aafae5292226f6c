-- Days whose lines have no table of their own.
SELECT DISTINCT (ts AT TIME ZONE 'UTC')::date AS day FROM traider.run_log_other ORDER BY 1
