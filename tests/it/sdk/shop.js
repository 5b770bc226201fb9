// A shop on the official Node SDK: one web payment, one express payment, polled until both are paid.
//
// Arguments: the gateway's origin, the result URL, the integration key. Prints one line a payment: reference, status.
const constants = require("paynow/dist/constants.js");
const { Paynow } = require("paynow");

const [gateway, resultUrl, key] = process.argv.slice(2);
constants.URL_INITIATE_TRANSACTION = gateway + "/interface/initiatetransaction";
constants.URL_INITIATE_MOBILE_TRANSACTION = gateway + "/interface/remotetransaction";
// This SDK takes the result URL before the return URL.
const paynow = new Paynow("1201", key, resultUrl, "http://127.0.0.1/thanks");

function order(reference) {
  const payment = paynow.createPayment(reference, "customer@example.com");
  payment.add("Sadza", 10.0);
  payment.add("Nyama", 2.5);
  return payment;
}

async function pollUntilPaid(reference, response) {
  if (!response || !response.success) throw new Error(reference + ": " + (response && response.error));
  const until = Date.now() + 15000;
  while (Date.now() < until) {
    const status = await paynow.pollTransaction(response.pollUrl);
    if (status && status.status === "paid") return console.log(reference, status.status);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(reference + " is never paid");
}

(async () => {
  await pollUntilPaid("JS-WEB-1", await paynow.send(order("JS-WEB-1")));
  await pollUntilPaid("JS-EXPRESS-1", await paynow.sendMobile(order("JS-EXPRESS-1"), "0771111111", "ecocash"));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
