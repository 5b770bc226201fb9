//! Floor 3: the gateways' twins. They stand on loopback and play Paynow for tests, for the demo and for people with
//! a real SDK; they never see the ledger and never send to the world.
//!
//! One folder a gateway; what they share (a small server, posts that stay on this machine, the list of
//! misbehaviours) lies beside the folders.
//!
//! # Paynow Zimbabwe's own pages (paths in any letter case)
//!
//! | request | answer |
//! |---|---|
//! | `POST /interface/initiatetransaction` | `status=Ok&browserurl=…&pollurl=…&paynowreference=…&hash=…`, or an unsigned `status=Error&error=…` |
//! | `POST /interface/remotetransaction` | express checkout; the test numbers 0771111111, 0772222222, 0773333333 and 0774444444 do what Paynow's test mode does |
//! | `POST` or `GET /Interface/CheckPayment/?guid=…` | the payment's status now, signed |
//! | `POST /interface/trace` | the same by `merchanttrace`, or a signed `status=NotFound` |
//! | `GET /Payment/ConfirmPayment/{n}` | a page on which a person plays the customer |
//!
//! # Control pages, for people and scripts (forms in, JSON out)
//!
//! | request | form fields | effect |
//! |---|---|---|
//! | `GET /simulator/payments` | | lists the payments |
//! | `POST /simulator/payments` | `reference`, `amount`, `resulturl` | makes a payment without any hash |
//! | `POST /simulator/payments/{guid}/status` | `status` | moves the payment and posts the signed status update to its result URL |
//! | `POST /simulator/button` | `url`, `amount`, and optionally `paid`, `reference`, `name`, `email`, `phone`; any other field is a template extra | posts a signed custom-button notification |
//! | `POST /simulator/misbehave` | `misbehaviour` (see [`Misbehaviour`], or `none`), and optionally `times`, `seconds` | misbehaves from now on, or for the next `times` posts or polls |
//!
//! ```text
//! curl -d reference=INV-32 -d amount=25.00 -d resulturl=http://127.0.0.1:8087/paynow/shop $SIM/simulator/payments
//! curl -d status=Paid $SIM/simulator/payments/$GUID/status
//! curl -d misbehaviour=html -d times=3 $SIM/simulator/misbehave
//! ```
//!
//! # Real SDKs
//!
//! Both official SDKs work unchanged once their two addresses point here: in Python set
//! `Paynow.URL_INITIATE_TRANSACTION` and `Paynow.URL_INITIATE_MOBILE_TRANSACTION`, in Node the constants of the same
//! names on `require("paynow/dist/constants.js")`. Mind the order of arguments: Python takes the return URL before
//! the result URL, Node the other way round. Both encode the reference twice, each in its own way, so the twin's
//! status updates say `Order+7` or `Order%207` for `Order 7`, as Paynow's do.
//!
//! # Paynow Poland's own pages
//!
//! | request | answer |
//! |---|---|
//! | `POST /v3/payments` | `{"redirectUrl":"…","paymentId":"…","status":"NEW"}`; the sandbox's BLIK codes 111111, 222222, 333333 to 333336 and 444444 as `authorizationCode` do what the sandbox does |
//! | `GET /v3/payments/{paymentId}/status` | `{"paymentId":"…","status":"…"}` |
//!
//! Both want `Api-Key`, `Idempotency-Key` and the v3 `Signature`; errors carry an `errorType`. Every change of a status
//! has its own chain of notifications. The control pages are those above without the button; forms say `externalId`,
//! `amount` (grosze), `notificationUrl` and `authorizationCode`. What only a Zimbabwean message can suffer (`recut`)
//! leaves Polish ones genuine.
//!
//! # Time
//!
//! The gateway's own waits (express checkout, automatic payment, BLIK codes, the spacing of resends) are divided by the
//! time factor. A misbehaviour's wait is taken as given.

mod delivery;
mod error;
mod misbehaviour;
mod outbound;
pub mod poland;
mod server;
mod signature;
pub mod zimbabwe;

pub use delivery::Delivery;
pub use error::SimulatorError;
pub use misbehaviour::{Misbehaviour, Mischief, Times};
pub use outbound::SendError;
pub use signature::Signature;
pub use zimbabwe::{ButtonSale, PostSpec, Recut, SimulatedPayment, Simulator, SimulatorSettings};
