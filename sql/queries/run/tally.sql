SELECT
    count(*) FILTER (WHERE state IN ('waiting', 'ready', 'running')) AS active,
    count(*) FILTER (WHERE state IN ('failed', 'dead')) AS failed,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    string_agg(name || ': ' || coalesce(error, state), '; ' ORDER BY ordinal)
        FILTER (WHERE state IN ('failed', 'dead')) AS errors
FROM traider.step
WHERE run = $1
