-- How long a run of this workflow takes: the median of its newest ones that got done, seconds.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at))::float8
FROM (
    SELECT started_at, ended_at
    FROM traider.run
    WHERE workflow = $1 AND state = 'done' AND started_at IS NOT NULL
    ORDER BY queued_at DESC, id DESC
    LIMIT 200
) AS r
