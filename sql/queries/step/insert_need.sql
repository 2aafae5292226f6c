INSERT INTO traider.step_dep (run, step, needs) VALUES ($1, $2, $3)
