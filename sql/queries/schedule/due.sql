SELECT s.name
FROM traider.schedule AS s
WHERE s.active AND NOT s.paused
  AND (
      s.next_slot <= $1
      OR EXISTS (
          SELECT FROM traider.slot AS w
          WHERE w.schedule = s.name AND w.state = 'waiting' AND w.not_before <= $1
      )
  )
ORDER BY s.name
