#!/bin/sh
# Verifies a status update and commits it; the answer waits for our end. Values come as arguments, in their order.
set -eu
wanted=$(printf '%s' "$1$2$3$4$5$PAYNOW_KEY" | sha512sum | cut -d ' ' -f 1 | tr a-f A-F)
[ "$wanted" = "$6" ] || exit 1
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }
now=$(date +%s)
sqlite3 -bail -cmd '.timeout 30000' "$LEDGER" "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;
INSERT INTO event (reference, at, body) VALUES ($(quoted "$1"), $now, $(quoted "$*"));
INSERT INTO payment VALUES ($(quoted "$1"), $(quoted "$2"), $(quoted "$3"), $(quoted "$4"), $(quoted "$5"), $now)
ON CONFLICT (reference) DO UPDATE SET status = excluded.status, last_changed = excluded.last_changed; COMMIT;"
