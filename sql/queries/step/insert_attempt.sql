INSERT INTO traider.attempt (run, step, epoch, attempt, worker, state) VALUES ($1, $2, $3, $4, $5, 'running')
