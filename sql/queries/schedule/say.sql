UPDATE traider.slot SET detail = $3 WHERE schedule = $1 AND slot = $2 AND detail <> $3
