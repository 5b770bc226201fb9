"""A shop on the official Python SDK: one web payment, one express payment, polled until both are paid.

Arguments: the gateway's origin, the result URL, the integration key. Prints one line a payment: reference, status.
"""
import sys
import time

from paynow import Paynow

gateway, result_url, key = sys.argv[1:]
Paynow.URL_INITIATE_TRANSACTION = gateway + "/interface/initiatetransaction"
Paynow.URL_INITIATE_MOBILE_TRANSACTION = gateway + "/interface/remotetransaction"
# This SDK takes the return URL before the result URL.
paynow = Paynow("1201", key, "http://127.0.0.1/thanks", result_url)


def order(reference):
    payment = paynow.create_payment(reference, "customer@example.com")
    payment.add("Sadza", 10.00)
    payment.add("Nyama", 2.50)
    return payment


def poll_until_paid(reference, response):
    assert response.success, response.data
    until = time.monotonic() + 15
    while time.monotonic() < until:
        status = paynow.check_transaction_status(response.poll_url)
        if status.paid:
            print(reference, status.status)
            return
        time.sleep(0.05)
    sys.exit(reference + " is never paid")


poll_until_paid("PY-WEB-1", paynow.send(order("PY-WEB-1")))
poll_until_paid("PY-EXPRESS-1", paynow.send_mobile(order("PY-EXPRESS-1"), "0771111111", "ecocash"))
