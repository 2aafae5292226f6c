SELECT pg_advisory_xact_lock(hashtextextended('traider.workflow:' || $1, 0))
