INSERT INTO traider.entries AS t (id, portfolio, run_id, kind, ts_ns, seq)
SELECT id, $1, r, k, ts, seq FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS u (id, r, k, ts, seq)
ON CONFLICT (id) DO UPDATE SET ts_ns = excluded.ts_ns, seq = excluded.seq
 WHERE (t.ts_ns, t.seq) IS DISTINCT FROM (excluded.ts_ns, excluded.seq)
