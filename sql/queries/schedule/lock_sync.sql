SELECT pg_advisory_xact_lock(hashtextextended('traider.schedules', 0))
