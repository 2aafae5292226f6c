-- Takes the lock of a shared limit until the transaction ends; how many use it now.
WITH l AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('traider.share:' || $1, 0)))
SELECT 1 FROM l
