-- Alerts that others send in. One row is one vote of whoever sent it, and never an order.

CREATE TABLE traider.webhook_alert (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The same alert has the same key: that of its own id, or that of its body and the minute it came in.
    key         text        NOT NULL UNIQUE,
    received_at timestamptz NOT NULL,
    -- The address it came from, as far as that is known.
    sender      text        NOT NULL,
    -- What it says of itself; empty or null where it does not say.
    route       text        NOT NULL DEFAULT '',
    strategy    text        NOT NULL DEFAULT '',
    exchange    text        NOT NULL DEFAULT '',
    ticker      text        NOT NULL DEFAULT '',
    timeframe   text        NOT NULL DEFAULT '',
    -- 1 wants it up, -1 down, 0 neither; null: it does not say so in words that are known.
    vote        smallint    CHECK (vote IN (-1, 0, 1)),
    -- As it was written: a number of the sender's, for people.
    price       text        NOT NULL DEFAULT '',
    -- When the bar it is about began, and when it was sent, by the sender's clock.
    bar_time    timestamptz,
    fired_at    timestamptz,
    -- True when the bar was not over yet, so that the alert may be taken back by the bar's end; null: not known.
    provisional boolean,
    -- The whole of it, without the secret.
    body        text        NOT NULL
);
CREATE INDEX webhook_alert_received ON traider.webhook_alert (received_at);
