-- The first ledger. Times are milliseconds since 1970 UTC; amounts are ten-thousandths; codes are words.

PRAGMA application_id = 0x706e7764;

-- Integrations by number, so that a million rows do not repeat a name.
CREATE TABLE integration (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What is known of each payment: a fold of its events, kept so that nobody has to fold, and when the gateway is to be
-- asked about it.
CREATE TABLE payment (
    id                INTEGER PRIMARY KEY,
    integration_id    INTEGER NOT NULL REFERENCES integration (id),
    gateway_key       ANY     NOT NULL, -- 16 bytes if it is a GUID, else text
    reference         TEXT,
    gateway_reference TEXT,
    amount            INTEGER CHECK (amount >= 0),
    amount_paid       INTEGER CHECK (amount_paid >= 0),
    method            TEXT,             -- by which means the customer paid
    currency          TEXT    NOT NULL,
    mode              TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    wire_status       TEXT,
    trust             TEXT    NOT NULL,
    proven            TEXT,             -- the last state the gateway confirmed, where posts claim another since
    poll_url          TEXT,
    posted            TEXT    NOT NULL, -- how far posts have told of it: never, earlier, current
    paid_at           INTEGER,          -- when money was first heard of
    first_seen        INTEGER NOT NULL,
    last_changed      INTEGER NOT NULL,
    last_event        INTEGER,          -- the newest event about it; each of these leads to the one before
    poll_due          INTEGER,
    poll_pace         TEXT    NOT NULL,
    poll_attempt      INTEGER NOT NULL,
    poll_since        INTEGER NOT NULL,
    poll_asked        INTEGER,
    unconfirmed_due   INTEGER,          -- when letters tell that nobody has confirmed what is claimed
    unconfirmed_to    TEXT,             -- to whom, one a line
    CHECK ((unconfirmed_due IS NULL) = (unconfirmed_to IS NULL))
) STRICT;
CREATE INDEX payment_by_reference ON payment (reference) WHERE reference IS NOT NULL;
-- The gateway counts its references up, so that this one, too, grows at its end.
CREATE INDEX payment_by_gateway_reference ON payment (gateway_reference) WHERE gateway_reference IS NOT NULL;
CREATE INDEX payment_by_change ON payment (last_changed);
CREATE INDEX payment_by_age ON payment (integration_id, first_seen);
-- The states of payments, but for those that are certainly paid, as nearly all are in the end.
CREATE INDEX payment_by_state ON payment (trust, status) WHERE trust <> 'confirmed' OR status <> 'paid';
CREATE INDEX payment_by_poll_due ON payment (poll_due) WHERE poll_due IS NOT NULL;
CREATE INDEX payment_by_unconfirmed_due ON payment (unconfirmed_due) WHERE unconfirmed_due IS NOT NULL;

-- Which payment has which gateway key, by a digest of it. The newest payments' keys only stand in their rows; from there
-- they move, in this order, into the shallow layer, and from that into the deep one.
CREATE TABLE shallow_key (
    place      INTEGER NOT NULL,
    payment_id INTEGER NOT NULL,
    PRIMARY KEY (place, payment_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deep_key (
    place      INTEGER NOT NULL,
    payment_id INTEGER NOT NULL,
    PRIMARY KEY (place, payment_id)
) STRICT, WITHOUT ROWID;

-- How far they have moved.
CREATE TABLE key_progress (
    settled    INTEGER NOT NULL, -- all keys of payments up to this number are in one of the layers
    settling   INTEGER NOT NULL, -- those after it, up to this number, are moving there
    place      INTEGER NOT NULL, -- the last of them that is there
    payment_id INTEGER NOT NULL,
    shallow    INTEGER NOT NULL  -- how many are in the shallow layer
) STRICT;
INSERT INTO key_progress VALUES (0, 0, -1, 0, 0);

-- The truth: everything authentic that was ever heard, byte for byte, chained by digest. What a person decided stands
-- in the same chain: channel 'operator', with the decision as its body and nothing said of a state.
CREATE TABLE event (
    id                INTEGER PRIMARY KEY,
    payment_id        INTEGER REFERENCES payment (id),
    before            INTEGER,          -- the event before it about the same payment
    at                INTEGER NOT NULL,
    channel           TEXT    NOT NULL,
    evidence          TEXT    NOT NULL,
    outcome           TEXT    NOT NULL,
    said              TEXT,             -- the status it speaks of
    wire_status       TEXT,
    said_at           TEXT,             -- when, by the gateway's clock, as written
    said_earliest     INTEGER,          -- what instant that means; two in the hour that October repeats
    said_latest       INTEGER,
    reference         TEXT,
    gateway_reference TEXT,
    amount            INTEGER,
    amount_paid       INTEGER,
    method            TEXT,
    status            TEXT,             -- the payment's afterwards
    trust             TEXT,             -- the payment's afterwards
    body              BLOB    NOT NULL,
    digest            BLOB    NOT NULL CHECK (length(digest) = 32),
    CHECK (channel = 'operator' OR (payment_id IS NOT NULL AND said IS NOT NULL AND status IS NOT NULL AND trust IS NOT NULL))
) STRICT;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- How often messages about a payment brought nothing new, by what they were. The first of each are kept whole, as events
-- or in quarantine; of all that follow, this number is what is left. It is no event, and so the chain does not prove it.
CREATE TABLE repeats (
    payment_id INTEGER NOT NULL REFERENCES payment (id),
    outcome    TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (payment_id, outcome)
) STRICT, WITHOUT ROWID;

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

-- What the merchant's own order book says should be paid, and where the search for it stands.
CREATE TABLE expectation (
    id             INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    reference      TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    currency       TEXT    NOT NULL,
    mode           TEXT    NOT NULL,
    created        INTEGER NOT NULL,
    due            INTEGER,          -- by when it should be paid
    poll_url       TEXT,
    trace          TEXT,
    payment_id     INTEGER REFERENCES payment (id), -- the one behind poll_url, or found by trace
    trace_due      INTEGER,          -- when the gateway is to be asked by trace; none once it is found or given up
    trace_attempt  INTEGER NOT NULL DEFAULT 0,
    trace_since    INTEGER,          -- when the search by trace began
    traced         INTEGER,          -- when it was last asked
    trace_answer   TEXT,             -- what that brought: 'found', 'not-found', or the code of what went wrong
    UNIQUE (integration_id, reference)
) STRICT;
CREATE INDEX expectation_by_payment ON expectation (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX expectation_by_trace_due ON expectation (trace_due) WHERE trace_due IS NOT NULL;
CREATE INDEX expectation_unfound ON expectation (integration_id) WHERE trace IS NOT NULL AND payment_id IS NULL;

-- What a bank or the gateway's portal says was paid out: lines of imported files.
CREATE TABLE settlement (
    id             INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    line           TEXT    NOT NULL, -- what tells this line from all others of the integration
    day            TEXT    NOT NULL, -- the civil day it was paid out, as 2026-03-12
    reference      TEXT    NOT NULL, -- the merchant's or the gateway's, as the file has it
    currency       TEXT    NOT NULL,
    gross          INTEGER,
    fee            INTEGER,
    net            INTEGER,
    imported       INTEGER NOT NULL,
    payment_id     INTEGER REFERENCES payment (id), -- the one it settles
    UNIQUE (integration_id, line)
) STRICT;
CREATE INDEX settlement_by_payment ON settlement (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX settlement_unmatched ON settlement (integration_id, reference) WHERE payment_id IS NULL;

-- Letters to be sent, about a payment or about a run.
-- A number is never used twice: a letter may be on its way when its row is withdrawn. (AUTOINCREMENT would keep that, too,
-- but for a page more in every commit.)
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    payment_id INTEGER REFERENCES payment (id),
    run_id     INTEGER REFERENCES run (id),
    notice     TEXT    NOT NULL,
    recipient  TEXT    NOT NULL,
    state      TEXT    NOT NULL, -- waiting, sent, refused, given-up, withdrawn
    written    INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    settled    INTEGER,
    error      TEXT,
    retried    INTEGER, -- when it was last put back into the post by hand
    tries_before INTEGER NOT NULL DEFAULT 0, -- how many of its attempts were before that
    UNIQUE (payment_id, notice, recipient),
    CHECK ((payment_id IS NULL) <> (run_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX outbox_by_run ON outbox (run_id, notice, recipient) WHERE run_id IS NOT NULL;
CREATE INDEX outbox_by_due ON outbox (due) WHERE state = 'waiting';
CREATE TABLE deleted_letter (
    last INTEGER NOT NULL -- the highest number of a letter whose row is gone
) STRICT;
INSERT INTO deleted_letter VALUES (0);
CREATE TRIGGER letter_is_deleted AFTER DELETE ON outbox
BEGIN UPDATE deleted_letter SET last = max(last, old.id); END;

-- What does not add up, open until resolved. It is about a payment, an expectation, or a whole integration; `subject`
-- tells apart what else may be found several times of one of these.
CREATE TABLE discrepancy (
    id             INTEGER PRIMARY KEY,
    class          TEXT    NOT NULL,
    state          TEXT    NOT NULL, -- open, resolved
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    payment_id     INTEGER REFERENCES payment (id),
    expectation_id INTEGER REFERENCES expectation (id),
    subject        TEXT    NOT NULL DEFAULT '',
    expected       TEXT    NOT NULL,
    found          TEXT    NOT NULL,
    opened         INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    times          INTEGER NOT NULL DEFAULT 1,
    resolved       INTEGER,
    resolution     TEXT,             -- why: what settled it, or the reason a person gave
    actor          TEXT              -- who, if it was a person
) STRICT;
CREATE INDEX discrepancy_open ON discrepancy (integration_id, class, payment_id) WHERE state = 'open';
CREATE INDEX discrepancy_by_payment ON discrepancy (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX discrepancy_by_resolution ON discrepancy (resolved) WHERE resolved IS NOT NULL;
CREATE INDEX discrepancy_by_expectation ON discrepancy (expectation_id) WHERE expectation_id IS NOT NULL;

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

-- Runs of what happens by the clock, so that a missed one is made up once, and what the nightly one reported.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,
    started      INTEGER NOT NULL,
    finished     INTEGER,
    summary      TEXT,
    first_day    TEXT,               -- the civil days it reported, as 2026-03-12; none if it wrote no letter
    last_day     TEXT,
    report       TEXT,               -- what it reported, as JSON
    transactions BLOB,               -- the files that go with the letter
    findings     BLOB
) STRICT;
CREATE INDEX run_by_name ON run (name, started);
CREATE UNIQUE INDEX run_by_last_day ON run (name, last_day) WHERE last_day IS NOT NULL;

-- Which of the keys that are on their way out still prove messages, by the name of the key's file, which is no secret.
CREATE TABLE old_key (
    integration_id INTEGER NOT NULL REFERENCES integration (id),
    file           TEXT    NOT NULL,
    position       INTEGER NOT NULL, -- in key_files; the first there is the current key
    since          INTEGER NOT NULL, -- when it was first seen behind another key
    first_used     INTEGER,          -- when it first proved something there
    last_used      INTEGER,
    count          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (integration_id, file)
) STRICT, WITHOUT ROWID;

-- Written whenever somebody asks whether the ledger can be written: as much as the largest post needs.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    at     INTEGER NOT NULL,
    filler BLOB    NOT NULL
) STRICT;
