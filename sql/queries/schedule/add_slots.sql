INSERT INTO traider.slot (schedule, slot, state, late, partition, not_before, detail)
SELECT $1, n.slot, n.state, n.late, n.partition, n.not_before, n.detail
FROM unnest($2::timestamptz[], $3::text[], $4::boolean[], $5::text[], $6::timestamptz[], $7::text[])
    AS n (slot, state, late, partition, not_before, detail)
ON CONFLICT (schedule, slot) DO NOTHING
