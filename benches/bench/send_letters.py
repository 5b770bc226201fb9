"""Letters over one kept connection: argv is PORT plain|tls COUNT FILE; prints microseconds for all of them."""

import smtplib
import ssl
import sys
import time

port, way, count, path = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
with open(path, "rb") as file:
    letter = file.read()
if way == "tls":
    server = smtplib.SMTP_SSL("localhost", port, context=ssl.create_default_context())
else:
    server = smtplib.SMTP("localhost", port)
with server:
    server.sendmail("ledger@shop.example", ["owner@shop.example"], letter)
    before = time.perf_counter()
    for _ in range(count):
        server.sendmail("ledger@shop.example", ["owner@shop.example"], letter)
    print(int((time.perf_counter() - before) * 1_000_000))
