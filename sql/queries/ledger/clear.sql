-- Empties the projection; every row of it can be made again from the journals.
TRUNCATE traider.ledger_run, traider.orders, traider.fills, traider.entries, traider.postings, traider.lots,
         traider.lot_matches, traider.marks
