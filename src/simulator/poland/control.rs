//! The pages that Paynow does not have: a person or a script plays the customer and the bad day.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::message::clock_text;
use super::payments::play;
use super::state::{Order, Payment, Twin};
use crate::http::Response;
use crate::protocol::zimbabwe::Fields;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::server::json;

/// How many fields a control form may have.
const FIELDS: usize = 64;

/// `GET /simulator/payments`
pub(super) fn list(twin: &Twin) -> Response {
    let payments: Value = twin.state().payments.iter().map(shown).collect();
    json(StatusCode::OK, &payments)
}

/// `POST /simulator/payments`
pub(super) fn begin(twin: &Arc<Twin>, body: &[u8]) -> Response {
    let begun = form(body).and_then(|fields| {
        let value = |name: &str| fields.value(name).filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(Order {
            external_id: value("externalId").ok_or("field externalId: is missing")?,
            grosze: value("amount").map_or(Ok(100), |text| text.parse()).map_err(|_| "field amount: whole grosze")?,
            notification_url: value("notificationUrl"),
            blik: value("authorizationCode"),
        })
    });
    match begun {
        Ok(order) => {
            let blik = order.blik.clone();
            let payment = twin.begin(order);
            play(twin, &payment.id, blik.as_deref());
            json(StatusCode::CREATED, &shown(&payment))
        }
        Err(why) => wrong(&why),
    }
}

/// `POST /simulator/payments/{paymentId}/status`
pub(super) async fn set_status(twin: &Arc<Twin>, payment_id: &str, body: &[u8]) -> Response {
    let word = form(body).and_then(|fields| {
        let word = fields.value("status").map(str::trim).filter(|word| !word.is_empty());
        word.map(str::to_owned).ok_or_else(|| "field status: is missing".to_owned())
    });
    match word {
        Err(why) => wrong(&why),
        Ok(word) => match twin.move_to(payment_id, &word).await {
            Ok(delivery) => json(
                StatusCode::OK,
                &json!({ "status": word, "post": delivery.to_string(), "http_status": delivery.status() }),
            ),
            Err(error) => json(StatusCode::NOT_FOUND, &json!({ "error": error.to_string() })),
        },
    }
}

/// `POST /simulator/misbehave`
pub(super) fn misbehave(twin: &Twin, body: &[u8]) -> Response {
    let chosen = form(body).and_then(|fields| {
        let number = |name: &str| match fields.value(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse::<u32>().map(Some).map_err(|_| format!("field {name}: must be a whole number")),
        };
        let code = fields.value("misbehaviour").unwrap_or_default().trim();
        if code == "none" {
            return Ok(None);
        }
        let what = Misbehaviour::from_code(code).ok_or_else(|| {
            format!(
                "field misbehaviour: must be none or one of {}",
                Misbehaviour::ALL.map(Misbehaviour::code).join(", ")
            )
        })?;
        let mischief = number("times")?.map_or(Mischief::always(what), |times| Mischief::next(times, what));
        let seconds = number("seconds")?.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(Some(seconds.map_or(mischief, |wait| mischief.waiting(wait))))
    });
    match chosen {
        Ok(Some(mischief)) => {
            twin.state().mischiefs.add(mischief);
            json(StatusCode::OK, &json!({ "misbehaviour": mischief.what.code() }))
        }
        Ok(None) => {
            twin.state().mischiefs.clear();
            json(StatusCode::OK, &json!({ "misbehaviour": "none" }))
        }
        Err(why) => wrong(&why),
    }
}

fn shown(payment: &Payment) -> Value {
    json!({
        "paymentId": payment.id,
        "externalId": payment.external_id,
        "amount": payment.grosze,
        "status": payment.status,
        "modifiedAt": clock_text(payment.modified_at),
        "notificationUrl": payment.notification_url,
        "polls": payment.polls,
        "posts": payment.posts.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn form(body: &[u8]) -> Result<Fields, String> {
    Fields::parse(body, FIELDS).map_err(|error| format!("not a form: {error}"))
}

fn wrong(why: &str) -> Response {
    json(StatusCode::BAD_REQUEST, &json!({ "error": why }))
}
