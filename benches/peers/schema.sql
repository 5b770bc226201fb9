-- What a careful shop would keep: every message as it came, and where each payment stands.
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, reference TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS payment (
    reference        TEXT PRIMARY KEY,
    paynow_reference TEXT NOT NULL,
    amount           TEXT NOT NULL,
    status           TEXT NOT NULL,
    poll_url         TEXT NOT NULL,
    last_changed     INTEGER NOT NULL
);
