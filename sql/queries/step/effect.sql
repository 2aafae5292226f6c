-- The first report of an attempt has its effect; should its state have been set back by hand, the second has none.
INSERT INTO traider.effect (key, run, step, epoch, result)
VALUES (concat_ws('/', 'step', $1::text, $2::text, $3::integer), $1, $2, $4, $5)
ON CONFLICT (key) DO NOTHING
