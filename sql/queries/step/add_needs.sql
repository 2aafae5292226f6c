INSERT INTO traider.step_dep (run, step, needs) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
