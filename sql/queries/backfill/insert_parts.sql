INSERT INTO traider.backfill_part (backfill, seq, partition, state, run)
SELECT $1, n.seq, n.partition, n.state, n.run
FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) AS n (seq, partition, state, run)
