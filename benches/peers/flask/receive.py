"""Verifies a status update with the official SDK's hash and commits it before it answers. One connection a process."""

import os
import sqlite3
import time

from flask import Flask, request
from paynow import Paynow

app = Flask(__name__)
shop = Paynow("1201", os.environ["PAYNOW_KEY"], "http://localhost/return", "http://localhost/result")
ledger = None


def opened():
    global ledger
    if ledger is None:
        ledger = sqlite3.connect(os.environ["LEDGER"], timeout=30, isolation_level=None)
        ledger.execute("PRAGMA synchronous = FULL")
    return ledger


@app.post("/paynow/shop")
def receive():
    body = request.get_data(cache=True)
    fields = request.form.to_dict()
    if not shop._Paynow__verify_hash(fields, shop.integration_key):
        return "", 403
    db, now = opened(), int(time.time())
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO event (reference, at, body) VALUES (?, ?, ?)", (fields["reference"], now, body))
    db.execute(
        "INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET "
        "status = excluded.status, last_changed = excluded.last_changed",
        (fields["reference"], fields["paynowreference"], fields["amount"], fields["status"], fields["pollurl"], now),
    )
    db.execute("COMMIT")
    return "", 200
