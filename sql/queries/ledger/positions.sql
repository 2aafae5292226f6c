-- What is held of each traded asset, told three ways: by fills, by postings, by open lots (I-20, I-24).
WITH moved AS (
    SELECT portfolio, venue, base AS asset, CASE side WHEN 'buy' THEN qty ELSE -qty END AS amount FROM traider.fills
    UNION ALL
    SELECT portfolio, venue, fee_asset, -fee_amount FROM traider.fills WHERE fee_asset <> quote
    UNION ALL
    -- Held before the first fill.
    SELECT portfolio, venue, asset, qty FROM traider.lots WHERE assumed
),
told AS (
    SELECT portfolio, venue, asset, sum(amount) AS amount FROM moved GROUP BY portfolio, venue, asset
),
open AS (
    SELECT portfolio, venue, asset, sum(left_qty) AS amount FROM traider.lots GROUP BY portfolio, venue, asset
),
booked AS (
    SELECT e.portfolio, p.account, p.asset, sum(p.amount) AS amount
      FROM traider.postings p
      JOIN traider.entries e ON e.id = p.entry_id
     WHERE p.account LIKE 'asset:%'
     GROUP BY e.portfolio, p.account, p.asset
)
SELECT coalesce(told.portfolio, open.portfolio) AS portfolio,
       coalesce(told.venue, open.venue) AS venue,
       coalesce(told.asset, open.asset) AS asset,
       coalesce(told.amount, 0)::text AS fills,
       coalesce(booked.amount, 0)::text AS postings,
       coalesce(open.amount, 0)::text AS lots,
       coalesce(told.amount, 0) = coalesce(booked.amount, 0) AND coalesce(told.amount, 0) = coalesce(open.amount, 0) AS agree
  FROM told
  FULL JOIN open USING (portfolio, venue, asset)
  LEFT JOIN booked
    ON booked.portfolio = coalesce(told.portfolio, open.portfolio)
   AND booked.asset = coalesce(told.asset, open.asset)
   AND booked.account = concat('asset:', coalesce(told.venue, open.venue), ':', coalesce(told.asset, open.asset))
 ORDER BY 1, 2, 3
