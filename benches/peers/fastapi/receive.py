"""Verifies a status update and commits it before it answers. One connection a process."""

import hashlib
import hmac
import os
import sqlite3
import time
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response

app = FastAPI()
key = os.environ["PAYNOW_KEY"]
ledger = sqlite3.connect(os.environ["LEDGER"], timeout=30, isolation_level=None, check_same_thread=False)
ledger.execute("PRAGMA synchronous = FULL")


@app.post("/paynow/shop")
async def receive(request: Request):
    body = await request.body()
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    text = "".join(value for name, value in fields.items() if name.lower() != "hash")
    wanted = hashlib.sha512((text + key).encode()).hexdigest().upper()
    if not hmac.compare_digest(wanted, fields.get("hash", "")):
        return Response(status_code=403)
    now = int(time.time())
    ledger.execute("BEGIN IMMEDIATE")
    ledger.execute("INSERT INTO event (reference, at, body) VALUES (?, ?, ?)", (fields["reference"], now, body))
    ledger.execute(
        "INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET "
        "status = excluded.status, last_changed = excluded.last_changed",
        (fields["reference"], fields["paynowreference"], fields["amount"], fields["status"], fields["pollurl"], now),
    )
    ledger.execute("COMMIT")
    return Response(status_code=200)
