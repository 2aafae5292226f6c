SELECT i.run, i.step, i.asset, i.sha256
FROM unnest($1::text[], $2::text[]) AS s (run, step)
JOIN traider.asset_input AS i ON i.run = s.run AND i.step = s.step
ORDER BY i.run, i.step, i.asset, i.sha256
