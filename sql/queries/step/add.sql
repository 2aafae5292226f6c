INSERT INTO traider.step
    (run, name, ordinal, job, queue, params, when_needs, retry, timeout_s, grace_s, state, missing, attempts_max,
     min_ok, concurrency_key, concurrency_max, deadline)
SELECT
    s.run, s.name, s.ordinal, s.job, s.queue, s.params, s.when_needs, s.retry, s.timeout_s, s.grace_s, 'waiting', s.missing,
    (s.retry ->> 'max')::integer, s.min_ok, s.concurrency_key, s.concurrency_max, to_timestamp(s.deadline)
FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::bigint[],
    $10::bigint[], $11::integer[], $12::integer[], $13::text[], $14::integer[], $15::bigint[]
) AS s (
    run, name, ordinal, job, queue, params, when_needs, retry, timeout_s, grace_s, missing, min_ok, concurrency_key,
    concurrency_max, deadline
)
