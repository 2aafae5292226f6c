UPDATE traider.run SET cancel_requested = true WHERE id = $1
