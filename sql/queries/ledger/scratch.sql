-- Empty tables like the ledger's, for this transaction only.
DO $$
DECLARE
    of text;
BEGIN
    FOREACH of IN ARRAY ARRAY['ledger_run', 'orders', 'fills', 'entries', 'postings', 'lots', 'lot_matches', 'marks'] LOOP
        EXECUTE format('CREATE TEMPORARY TABLE %I (LIKE traider.%I INCLUDING ALL) ON COMMIT DROP', of, of);
    END LOOP;
END
$$
