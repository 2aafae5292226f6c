-- Rows as text look the same in every session that has said this.
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL search_path = pg_catalog;
-- The snapshot is kept until the dump is done.
SET LOCAL idle_in_transaction_session_timeout = 0
