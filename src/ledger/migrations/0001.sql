-- The first ledger. Times are milliseconds since 1970 UTC; amounts are ten-thousandths; codes are words.

-- Integrations by number, so that a million rows do not repeat a name.
CREATE TABLE integration (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What is known of each payment: a fold of its events, kept so that nobody has to fold.
CREATE TABLE payment (
    id                INTEGER PRIMARY KEY,
    integration_id    INTEGER NOT NULL REFERENCES integration (id),
    gateway_key       ANY     NOT NULL, -- 16 bytes if it is a GUID, else text
    reference         TEXT,
    gateway_reference TEXT,
    amount            INTEGER CHECK (amount >= 0),
    amount_paid       INTEGER CHECK (amount_paid >= 0),
    currency          TEXT    NOT NULL,
    mode              TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    wire_status       TEXT,
    trust             TEXT    NOT NULL,
    poll_url          TEXT,
    first_seen        INTEGER NOT NULL,
    last_changed      INTEGER NOT NULL,
    UNIQUE (integration_id, gateway_key)
) STRICT;
CREATE INDEX payment_by_reference ON payment (reference) WHERE reference IS NOT NULL;

-- The truth: everything authentic that was ever heard, byte for byte, chained by digest.
CREATE TABLE event (
    id                INTEGER PRIMARY KEY,
    payment_id        INTEGER NOT NULL REFERENCES payment (id),
    at                INTEGER NOT NULL,
    channel           TEXT    NOT NULL,
    evidence          TEXT    NOT NULL,
    outcome           TEXT    NOT NULL,
    said              TEXT    NOT NULL, -- the status it speaks of
    wire_status       TEXT,
    said_at           TEXT,             -- when, by the gateway's clock, as written
    said_earliest     INTEGER,          -- what instant that means; two in the hour that October repeats
    said_latest       INTEGER,
    reference         TEXT,
    gateway_reference TEXT,
    amount            INTEGER,
    amount_paid       INTEGER,
    status            TEXT    NOT NULL, -- the payment's afterwards
    trust             TEXT    NOT NULL, -- the payment's afterwards
    body              BLOB    NOT NULL,
    digest            BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;
CREATE INDEX event_by_payment ON event (payment_id);
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- When the gateway is to be asked about each payment.
CREATE TABLE poll (
    payment_id INTEGER PRIMARY KEY REFERENCES payment (id),
    due        INTEGER,
    pace       TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    asked      INTEGER
) STRICT;
CREATE INDEX poll_by_due ON poll (due) WHERE due IS NOT NULL;

-- What asking brought: equal answers in a row are one row, so that years of asking stay small.
CREATE TABLE poll_log (
    payment_id INTEGER NOT NULL REFERENCES payment (id),
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    PRIMARY KEY (payment_id, first_at)
) STRICT, WITHOUT ROWID;

-- Letters to be sent, written in the transaction of the fact they tell.
-- A number is never used twice: a letter may be on its way when its row is withdrawn.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id INTEGER NOT NULL REFERENCES payment (id),
    notice     TEXT    NOT NULL,
    recipient  TEXT    NOT NULL,
    state      TEXT    NOT NULL, -- waiting, sent, refused, given-up, withdrawn
    written    INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    settled    INTEGER,
    error      TEXT,
    UNIQUE (payment_id, notice, recipient)
) STRICT;
CREATE INDEX outbox_by_due ON outbox (due) WHERE state = 'waiting';

-- What does not add up, open until resolved.
CREATE TABLE discrepancy (
    id             INTEGER PRIMARY KEY,
    class          TEXT    NOT NULL,
    severity       TEXT    NOT NULL,
    state          TEXT    NOT NULL, -- open, resolved
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    payment_id     INTEGER REFERENCES payment (id),
    expected       TEXT    NOT NULL,
    found          TEXT    NOT NULL,
    opened         INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    times          INTEGER NOT NULL DEFAULT 1,
    resolved       INTEGER,
    resolution     TEXT
) STRICT;
CREATE INDEX discrepancy_open ON discrepancy (integration_id, class, payment_id) WHERE state = 'open';
CREATE INDEX discrepancy_by_payment ON discrepancy (payment_id) WHERE payment_id IS NOT NULL;

-- Refused posts, verbatim and bounded. A number is never given twice: people note it and come back to it.
CREATE TABLE quarantine (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    at             INTEGER NOT NULL,
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    peer           TEXT,
    kind           TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    signature      TEXT,             -- the headers that were to prove it, one a line
    body           BLOB    NOT NULL
) STRICT;
CREATE INDEX quarantine_by_integration ON quarantine (integration_id);

-- Runs of what happens by the clock, so that a missed one is made up once.
CREATE TABLE run (
    id       INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL,
    started  INTEGER NOT NULL,
    finished INTEGER,
    summary  TEXT
) STRICT;
CREATE INDEX run_by_name ON run (name, started);

-- Written whenever somebody asks whether the ledger can be written: as much as the largest post needs.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    at     INTEGER NOT NULL,
    filler BLOB    NOT NULL
) STRICT;
