//! The poll URL: the payment's status now, signed; or one of the many other things a poll may meet.
//!
//! <https://developers.paynow.co.zw/docs/polling_status.html>

use hyper::StatusCode;

use super::message::PostSpec;
use super::state::Twin;
use crate::http::{Response, empty};
use crate::protocol::zimbabwe::Fields;
use crate::simulator::Signature;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::server::{page, text, with};

/// What a bot challenge looks like to a client that expected a form.
const CHALLENGE: &str = "<!DOCTYPE html><html lang=\"en\"><head><title>Just a moment...</title></head>\
    <body><h1>Checking your browser before accessing the site</h1></body></html>\n";

/// `POST` or `GET /Interface/CheckPayment/?guid=…`
pub(super) async fn check(twin: &Twin, query: &str) -> Response {
    let guid = Fields::parse(query.as_bytes(), 8).ok().and_then(|fields| fields.value("guid").map(str::to_owned));
    let guid = guid.unwrap_or_default();
    let (payment, befalling) = {
        let mut state = twin.state();
        let Some(payment) = state.find_mut(&guid) else {
            return error("Invalid guid");
        };
        payment.polls += 1;
        let payment = payment.clone();
        let befalling = state.mischiefs.befall_poll(&payment.guid);
        (payment, befalling)
    };
    twin.news.send_replace(());
    let genuine = || text(StatusCode::OK, twin.write(&payment, &twin.update(&payment.status)));
    let Some(Mischief { what, wait, .. }) = befalling else { return genuine() };
    match what {
        Misbehaviour::ErrorThenOk => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Misbehaviour::Html => page(StatusCode::OK, CHALLENGE),
        Misbehaviour::Hang => {
            twin.wait(wait).await;
            empty(StatusCode::GATEWAY_TIMEOUT)
        }
        Misbehaviour::RetryAfter => {
            let seconds = wait.as_secs().max(1).to_string();
            with(empty(StatusCode::TOO_MANY_REQUESTS), "retry-after", &seconds)
        }
        Misbehaviour::Lie => {
            text(StatusCode::OK, twin.write(&payment, &PostSpec::status("Paid").signed(Signature::Wrong)))
        }
        Misbehaviour::Redirect => {
            let elsewhere = format!("{}/Payment/ConfirmPayment/{}", twin.origin, payment.gateway_reference);
            with(empty(StatusCode::FOUND), "location", &elsewhere)
        }
        Misbehaviour::UnsignedError => error("The service is temporarily unavailable"),
        Misbehaviour::Duplicate
        | Misbehaviour::Delay
        | Misbehaviour::Reorder
        | Misbehaviour::WrongKey
        | Misbehaviour::Recut
        | Misbehaviour::RecutReference
        | Misbehaviour::Silence => genuine(),
    }
}

fn error(why: &str) -> Response {
    text(StatusCode::OK, Fields::from_pairs([("status", "Error"), ("error", why)]).encode())
}
