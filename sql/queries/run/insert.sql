WITH r AS (
    INSERT INTO traider.run
        (id, workflow, version, partition_key, generation, trigger, params, state, priority, schedule, slot, backfill, alert)
    SELECT
        r.id, r.workflow, r.version, r.partition_key, r.generation, $6, r.params, 'queued', $8, r.schedule, r.slot,
        r.backfill, string_to_array(r.alert, ',')
    FROM unnest(
        $1::text[], $2::text[], $3::integer[], $4::text[], $5::integer[], $7::jsonb[], $9::text[], $10::timestamptz[],
        $11::text[], $12::text[]
    ) AS r (id, workflow, version, partition_key, generation, params, schedule, slot, backfill, alert)
    RETURNING id
)
INSERT INTO traider.open_run (run) SELECT id FROM r
