-- The money record, a projection of the journals: orders, fills, double entry, lots. It can be emptied and rebuilt to
-- the same content, so no row holds anything that is not in a journal (no insertion times, no counters).
--
-- A portfolio is one set of books: the account at the venues for live runs, the run itself for runs against a
-- simulated or emulated venue, whose fill ids start again with every venue.

-- How far each run's journal has been booked.
CREATE TABLE traider.ledger_run (
    run_id     text    PRIMARY KEY,
    portfolio  text    NOT NULL,
    mode       text    NOT NULL,
    last_seq   bigint  NOT NULL CHECK (last_seq >= 0)
);

CREATE TABLE traider.orders (
    portfolio    text    NOT NULL,
    order_id     text    NOT NULL,
    run_id       text    NOT NULL,
    venue        text    NOT NULL,
    symbol       text    NOT NULL,
    strategy     text    NOT NULL,
    signal       bigint  NOT NULL,
    side         text    NOT NULL CHECK (side IN ('buy', 'sell')),
    kind         text    NOT NULL,
    tif          text    NOT NULL,
    price        numeric NOT NULL,
    -- A refused order may have been sized to nothing.
    qty          numeric NOT NULL CHECK (qty >= 0),
    filled       numeric NOT NULL CHECK (filled >= 0),
    state        text    NOT NULL,
    reason       text    NOT NULL,
    created_seq  bigint  NOT NULL,
    created_ns   bigint  NOT NULL,
    updated_seq  bigint  NOT NULL,
    updated_ns   bigint  NOT NULL,
    PRIMARY KEY (portfolio, order_id)
);
CREATE INDEX orders_by_time ON traider.orders (created_ns);

CREATE TABLE traider.fills (
    portfolio    text    NOT NULL,
    venue        text    NOT NULL,
    symbol       text    NOT NULL,
    fill_id      text    NOT NULL,
    run_id       text    NOT NULL,
    order_id     text    NOT NULL,
    strategy     text    NOT NULL,
    base         text    NOT NULL,
    quote        text    NOT NULL,
    side         text    NOT NULL CHECK (side IN ('buy', 'sell')),
    price        numeric NOT NULL CHECK (price > 0),
    qty          numeric NOT NULL CHECK (qty > 0),
    fee_asset    text    NOT NULL,
    fee_amount   numeric NOT NULL,
    maker        boolean NOT NULL,
    seq          bigint  NOT NULL,
    ts_venue_ns  bigint  NOT NULL,
    ts_recv_ns   bigint  NOT NULL,
    PRIMARY KEY (portfolio, venue, symbol, fill_id)
);
CREATE INDEX fills_by_time ON traider.fills (ts_recv_ns);
CREATE INDEX fills_of_order ON traider.fills (portfolio, order_id);

-- A fact of money; its id is a hash of the fact.
CREATE TABLE traider.entries (
    id         text    PRIMARY KEY,
    portfolio  text    NOT NULL,
    run_id     text    NOT NULL,
    kind       text    NOT NULL CHECK (kind IN ('opening', 'fill')),
    ts_ns      bigint  NOT NULL,
    seq        bigint  NOT NULL
);
CREATE INDEX entries_of_portfolio ON traider.entries (portfolio, ts_ns);

CREATE TABLE traider.postings (
    entry_id   text     NOT NULL REFERENCES traider.entries (id) ON DELETE CASCADE,
    line       smallint NOT NULL CHECK (line >= 1),
    account    text     NOT NULL,
    asset      text     NOT NULL,
    amount     numeric  NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (entry_id, line)
);
CREATE INDEX postings_of_account ON traider.postings (account, asset);

-- Looked at when the transaction commits: an entry is written line by line and must balance as a whole.
CREATE FUNCTION traider.entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed text := CASE WHEN TG_OP = 'DELETE' THEN OLD.entry_id ELSE NEW.entry_id END;
    broken  record;
BEGIN
    SELECT asset, sum(amount) AS total INTO broken
      FROM traider.postings WHERE entry_id = changed GROUP BY asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % sums to % %, not to zero', changed, broken.total, broken.asset
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT OR UPDATE OR DELETE ON traider.postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION traider.entry_balances();

CREATE TABLE traider.lots (
    id         text    PRIMARY KEY,
    portfolio  text    NOT NULL,
    run_id     text    NOT NULL,
    venue      text    NOT NULL,
    asset      text    NOT NULL,
    currency   text    NOT NULL,
    opened_ns  bigint  NOT NULL,
    seq        bigint  NOT NULL,
    qty        numeric NOT NULL CHECK (qty > 0),
    cost       numeric NOT NULL,
    left_qty   numeric NOT NULL CHECK (left_qty >= 0 AND left_qty <= qty),
    left_cost  numeric NOT NULL,
    -- True when the acquisition itself is not in any journal: it was held before the first fill.
    assumed    boolean NOT NULL,
    CHECK (left_qty > 0 OR left_cost = 0)
);
CREATE INDEX lots_open ON traider.lots (portfolio, venue, asset, opened_ns) WHERE left_qty > 0;

CREATE TABLE traider.lot_matches (
    id           text    PRIMARY KEY,
    lot_id       text    NOT NULL REFERENCES traider.lots (id) DEFERRABLE INITIALLY DEFERRED,
    disposal_id  text    NOT NULL,
    portfolio    text    NOT NULL,
    run_id       text    NOT NULL,
    venue        text    NOT NULL,
    asset        text    NOT NULL,
    currency     text    NOT NULL,
    opened_ns    bigint  NOT NULL,
    closed_ns    bigint  NOT NULL,
    seq          bigint  NOT NULL,
    qty          numeric NOT NULL CHECK (qty > 0),
    cost         numeric NOT NULL,
    proceeds     numeric NOT NULL,
    gain         numeric NOT NULL CHECK (gain = proceeds - cost),
    assumed      boolean NOT NULL
);
CREATE INDEX lot_matches_by_time ON traider.lot_matches (closed_ns);
CREATE INDEX lot_matches_of_lot ON traider.lot_matches (lot_id);

-- Last price the run saw, and when (our clock), for marking what is still held.
CREATE TABLE traider.marks (
    run_id     text    NOT NULL,
    symbol     text    NOT NULL,
    portfolio  text    NOT NULL,
    seq        bigint  NOT NULL,
    price      numeric NOT NULL,
    ts_ns      bigint  NOT NULL,
    PRIMARY KEY (run_id, symbol)
);
