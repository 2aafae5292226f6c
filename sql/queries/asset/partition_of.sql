SELECT partition FROM traider.asset_version WHERE asset = $1 AND sha256 = $2 ORDER BY made_at DESC LIMIT 1
