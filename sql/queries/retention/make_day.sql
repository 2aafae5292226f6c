-- A table for one day of the log; lines that came before it move over. Who writes waits until it is there: a line that
-- was on its way to the other table would be refused. A dump holds these tables for long, so nobody waits behind us.
SET LOCAL lock_timeout = '5s';
LOCK TABLE traider.run_log IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE traider.run_log_%DAY% (LIKE traider.run_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
WITH moved AS (
    DELETE FROM traider.run_log_other WHERE ts >= '%FROM%' AND ts < '%TO%' RETURNING id, run, step, attempt, ts, level, message
)
INSERT INTO traider.run_log_%DAY% (id, run, step, attempt, ts, level, message)
SELECT id, run, step, attempt, ts, level, message FROM moved;
ALTER TABLE traider.run_log ATTACH PARTITION traider.run_log_%DAY% FOR VALUES FROM ('%FROM%') TO ('%TO%')
