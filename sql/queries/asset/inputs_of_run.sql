SELECT step, asset, sha256 FROM traider.asset_input WHERE run = $1 ORDER BY step, asset
