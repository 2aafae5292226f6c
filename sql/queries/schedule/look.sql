-- One look per second and process: the clock that counts, and whether anything has to be done.
SELECT
    now() AS now,
    EXISTS (
        SELECT
        FROM traider.schedule AS s
        WHERE s.active AND NOT s.paused
          AND (
              s.next_slot <= now()
              OR EXISTS (
                  SELECT FROM traider.slot AS w
                  WHERE w.schedule = s.name AND w.state = 'waiting' AND w.not_before <= now()
              )
          )
    ) AS slots,
    EXISTS (SELECT FROM traider.backfill WHERE state = 'running') AS backfills
