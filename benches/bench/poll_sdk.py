"""What one poll costs the official SDK: argv is ORIGIN COUNT KEY; prints microseconds of CPU a poll."""

import sys
import time

from paynow import Paynow

origin, count, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
shop = Paynow("1201", key, "http://localhost/return", "http://localhost/result")


def ask(serial):
    url = f"{origin}/Interface/CheckPayment/?guid=00000000-0000-4000-8000-{serial:012x}"
    answer = shop.check_transaction_status(url)
    assert answer.status.lower() == "paid", answer.status


ask(0)
before = time.process_time()
for serial in range(count):
    ask(serial)
print(int((time.process_time() - before) / count * 1_000_000))
