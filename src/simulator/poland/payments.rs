//! Paynow Poland's own pages: create a payment, ask for its status. Both want an Api-Key, an Idempotency-Key and a
//! signature over both, the parameters and the body.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::delivery::Step;
use super::state::{Order, Twin};
use crate::http::{Response, empty};
use crate::protocol::Keys;
use crate::protocol::poland::{json as strict, signature};
use crate::protocol::zimbabwe::Fields;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::server::{json, page, with};

/// How many values a shop's request may have.
const VALUES: usize = 256;

/// The least a payment can be over, in grosze.
const LEAST: u64 = 100;

/// How long an Idempotency-Key may be.
const IDEMPOTENCY_KEY: usize = 45;

/// How long a bank takes to ring the customer.
const BANK: Duration = Duration::from_secs(1);

/// How long a customer takes to confirm in their bank's application.
const CUSTOMER: Duration = Duration::from_secs(3);

/// How long the sandbox leaves a payment with the code 444444 at NEW.
const STUCK: Duration = Duration::from_secs(20);

/// Every payment begins with a notification that it exists.
const TOLD: Step = ("NEW", "NEW", Duration::ZERO);

/// With a BLIK code, the customer's telephone rings.
const UNDER_WAY: Step = ("NEW", "PENDING", BANK);

/// A refusal: the HTTP status, the `errorType`, and words.
pub(super) struct Refusal(StatusCode, &'static str, &'static str);

impl Refusal {
    pub(super) fn response(&self) -> Response {
        let Self(status, kind, message) = self;
        let body = json!({ "statusCode": status.as_u16(), "errors": [{ "errorType": kind, "message": message }] });
        json(*status, &body)
    }
}

/// What a shop proves with every request.
fn proven<'a>(twin: &Twin, request: &'a Request<Bytes>) -> Result<&'a str, Refusal> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("api-key") != twin.settings.api_key {
        return Err(Refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Wrong Api-Key"));
    }
    let once = header("idempotency-key");
    if once.is_empty() || once.len() > IDEMPOTENCY_KEY {
        return Err(Refusal(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "Idempotency-Key: 1 to 45 characters"));
    }
    let query = Fields::parse(request.uri().query().unwrap_or_default().as_bytes(), 32).ok();
    let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in query.iter().flat_map(Fields::iter) {
        parameters.entry(name).or_default().push(value);
    }
    let body = String::from_utf8_lossy(request.body());
    let envelope = signature::envelope(&twin.settings.api_key, once, &parameters, &body);
    let keys = Keys::new(twin.settings.signature_key.clone(), Vec::new());
    match signature::verify(envelope.as_bytes(), &[header("signature").as_bytes()], &keys) {
        Ok(_) => Ok(once),
        Err(_) => Err(Refusal(StatusCode::UNAUTHORIZED, "VERIFICATION_FAILED", "Wrong signature")),
    }
}

/// The former answer under this Idempotency-Key, or a new one, which is kept.
fn once(twin: &Twin, key: &str, asked: String, answer: impl FnOnce() -> (StatusCode, Value)) -> Response {
    if let Some((former, status, body)) = twin.state().answered.get(key) {
        if *former != asked {
            let message = "The Idempotency-Key was used for another request";
            return Refusal(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message).response();
        }
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
        return json(status, &serde_json::from_str(body).unwrap_or_default());
    }
    let (status, body) = answer();
    twin.state().answered.insert(key.to_owned(), (asked, status.as_u16(), body.to_string()));
    json(status, &body)
}

/// `POST /v3/payments`
pub(super) fn create(twin: &Arc<Twin>, request: &Request<Bytes>) -> Response {
    let made = proven(twin, request).and_then(|key| Ok((key, order(request.body())?)));
    match made {
        Err(refusal) => refusal.response(),
        Ok((key, order)) => {
            let asked = format!("create {}", String::from_utf8_lossy(request.body()));
            once(twin, key, asked, || {
                let blik = order.blik.clone();
                let payment = twin.begin(order);
                play(twin, &payment.id, blik.as_deref());
                let redirect = format!("{}/simulator/payments", twin.origin);
                let body = json!({ "redirectUrl": redirect, "paymentId": payment.id, "status": payment.status });
                (StatusCode::CREATED, body)
            })
        }
    }
}

/// What a shop's request asks for.
fn order(body: &[u8]) -> Result<Order, Refusal> {
    let wrong = |message| Refusal(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message);
    let message = strict::object(body, VALUES).map_err(|_| wrong("The body is not JSON"))?;
    let text = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let grosze = message.get("amount").and_then(Value::as_u64).filter(|grosze| *grosze >= LEAST);
    let external_id = text("externalId").filter(|id| id.chars().count() <= 100);
    text("description").ok_or_else(|| wrong("description: is missing"))?;
    message
        .get("buyer")
        .and_then(|buyer| buyer.get("email")?.as_str())
        .ok_or_else(|| wrong("buyer.email: is missing"))?;
    Ok(Order {
        external_id: external_id.ok_or_else(|| wrong("externalId: 1 to 100 characters"))?.to_owned(),
        grosze: grosze.ok_or_else(|| wrong("amount: a whole number of grosze, at least 100"))?,
        blik: text("authorizationCode").map(str::to_owned),
        ..Order::default()
    })
}

/// Tells of the new payment, and does what the sandbox does with its documented BLIK codes.
pub(super) fn play(twin: &Arc<Twin>, payment_id: &str, blik: Option<&str>) {
    let steps: &'static [Step] = match blik {
        Some("111111") => &[TOLD, UNDER_WAY, ("PENDING", "CONFIRMED", CUSTOMER)],
        Some("222222") => &[TOLD, UNDER_WAY],
        Some("333333" | "333334" | "333335" | "333336") => &[TOLD, UNDER_WAY, ("PENDING", "REJECTED", CUSTOMER)],
        Some("444444") => &[TOLD, ("NEW", "ERROR", STUCK)],
        Some(_) | None => &[TOLD],
    };
    twin.follow(payment_id, steps);
}

/// `GET /v3/payments/{paymentId}/status`
pub(super) async fn status(twin: &Twin, request: &Request<Bytes>, payment_id: &str) -> Response {
    let key = match proven(twin, request) {
        Ok(key) => key,
        Err(refusal) => return refusal.response(),
    };
    let (payment, befalling) = {
        let mut state = twin.state();
        let Some(payment) = state.find_mut(payment_id) else {
            return Refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "Payment not found").response();
        };
        payment.polls += 1;
        let payment = payment.clone();
        (payment, state.mischiefs.befall_poll(payment_id))
    };
    twin.news.send_replace(());
    let genuine = || {
        once(twin, key, format!("status {payment_id}"), || {
            (StatusCode::OK, json!({ "paymentId": payment.id, "status": payment.status }))
        })
    };
    let Some(Mischief { what, wait, .. }) = befalling else { return genuine() };
    match what {
        Misbehaviour::ErrorThenOk => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Misbehaviour::Html => page(StatusCode::OK, "<!DOCTYPE html><title>Just a moment...</title>\n"),
        Misbehaviour::Hang => {
            twin.wait(wait).await;
            empty(StatusCode::GATEWAY_TIMEOUT)
        }
        Misbehaviour::RetryAfter => {
            let seconds = wait.as_secs().max(1).to_string();
            with(empty(StatusCode::TOO_MANY_REQUESTS), "retry-after", &seconds)
        }
        Misbehaviour::Lie => json(StatusCode::OK, &json!({ "paymentId": "XXXX-XXX-XXX-XXX", "status": "CONFIRMED" })),
        Misbehaviour::Redirect => with(empty(StatusCode::FOUND), "location", &format!("{}/", twin.origin)),
        Misbehaviour::UnsignedError => {
            Refusal(StatusCode::SERVICE_UNAVAILABLE, "SYSTEM_TEMPORARILY_UNAVAILABLE", "Come back later").response()
        }
        Misbehaviour::Duplicate
        | Misbehaviour::Delay
        | Misbehaviour::Reorder
        | Misbehaviour::WrongKey
        | Misbehaviour::Recut
        | Misbehaviour::RecutReference
        | Misbehaviour::Silence => genuine(),
    }
}
