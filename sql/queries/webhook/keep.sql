-- Nothing happens when it is there, or when it was in the minute before and that is less than a minute ago.
INSERT INTO traider.webhook_alert (
    key, received_at, sender, route, strategy, exchange, ticker, timeframe, vote, price, bar_time, fired_at, provisional, body
)
SELECT $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
WHERE NOT EXISTS (
    SELECT FROM traider.webhook_alert AS a WHERE a.key = $2 AND a.received_at > $3 - interval '1 minute'
)
ON CONFLICT (key) DO NOTHING
