//! `POST /v1/expectations`: the shop says what should be paid. Idempotent by integration and reference, and stored
//! before it is answered.
//!
//! The body is one order or a list of them; the answer has the same shape. Each order gets a status of its own: 201 if
//! it is new, 200 if it is known or was replaced, 409 if other money is expected already, 422 if it cannot be meant so.
//! That of the whole is the highest of them; what could be taken is stored whatever became of the rest.

use std::sync::Arc;

use chrono::Utc;
use chrono_tz::Tz;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::{Map, Value, json};

use super::super::orders;
use super::rows::{Fields, Row};
use crate::books::{Order, OrderDesk};
use crate::domain::{Expectation, Timestamp, excerpt};
use crate::http::{self, BodyError, HeardOut, Response};
use crate::ledger::{Admission, Booking, Expected, Ledger, LedgerError, OnConflict};
use crate::protocol::Integration;

/// The largest body, in bytes: a thousand orders with room to spare.
const LARGEST: usize = 1 << 20;
/// How many orders one request may bring.
const MOST: usize = 1_000;
/// How long a name that means nothing to us may be to be repeated, in characters.
const REPEATABLE: usize = 40;

/// The fields an order may have.
const FIELDS: [&str; 10] = [
    "integration",
    "reference",
    "amount",
    "currency",
    "created",
    "due",
    "poll_url",
    "merchanttrace",
    "initiate_response",
    "replace",
];

/// Answers one request.
pub(super) async fn take(
    ledger: &Ledger,
    integrations: Vec<Arc<Integration>>,
    zone: Tz,
    request: Request<Incoming>,
) -> Response {
    let (head, body) = request.into_parts();
    if !http::is_plain(&head.headers, "application/json") {
        return http::closing(http::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = match http::read_body(body, LARGEST).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return http::closing(http::empty(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(BodyError::Broken) => return http::closing(http::empty(StatusCode::BAD_REQUEST)),
    };
    if let Some(heard_out) = head.extensions.get::<HeardOut>() {
        heard_out.set();
    }
    let whole = |status, reason: &str| http::json(status, &json!({"status": status.as_u16(), "reason": reason}));
    let (rows, is_list) = match serde_json::from_slice(&body) {
        Ok(Row::List(rows)) => (rows, true),
        Ok(row @ Row::Order(_)) => (vec![row], false),
        Ok(Row::Other) => {
            return whole(StatusCode::UNPROCESSABLE_ENTITY, "must be an order (an object) or a list of them");
        }
        // Its own words say where; they repeat nothing of the body.
        Err(error) => return whole(StatusCode::BAD_REQUEST, &format!("not JSON: {error}")),
    };
    if rows.is_empty() || rows.len() > MOST {
        return whole(StatusCode::UNPROCESSABLE_ENTITY, &format!("a list must have 1 to {MOST} orders"));
    }
    let asked = Asked::read(&rows, &orders::desk(integrations.iter().cloned(), zone), &integrations, Utc::now());
    match asked.store(ledger).await {
        Ok(answers) => {
            let worst = answers.iter().map(|(status, _)| *status).max().unwrap_or(StatusCode::OK);
            let mut answers: Vec<Value> = answers.into_iter().map(|(_, answer)| answer).collect();
            http::json(worst, &if is_list { Value::Array(answers) } else { answers.pop().unwrap_or_default() })
        }
        Err(error) => {
            tracing::error!(%error, "expectations could not be stored; the shop is asked to bring them again");
            let refusal = whole(StatusCode::SERVICE_UNAVAILABLE, "nothing was stored; bring it again");
            http::come_back(refusal, http::A_LITTLE_LATER)
        }
    }
}

/// The status of an order and what to say of it.
type Answer = (StatusCode, Value);

/// What the orders of one request are, in its order.
struct Asked {
    /// For each, what is wrong with it; `None` for those to be stored.
    refusals: Vec<Option<Answer>>,
    bookings: Vec<Booking>,
    now: Timestamp,
}

impl Asked {
    fn read(rows: &[Row], desk: &OrderDesk, integrations: &[Arc<Integration>], now: Timestamp) -> Self {
        let mut asked = Self { refusals: Vec::with_capacity(rows.len()), bookings: Vec::new(), now };
        for row in rows {
            match read(row, desk, integrations, now) {
                Ok(booking) => {
                    asked.bookings.push(booking);
                    asked.refusals.push(None);
                }
                Err(answer) => asked.refusals.push(Some(answer)),
            }
        }
        asked
    }

    /// Stores what can be, and answers each.
    async fn store(self, ledger: &Ledger) -> Result<Vec<Answer>, LedgerError> {
        let named: Vec<Expectation> = self.bookings.iter().map(|booking| booking.expected().clone()).collect();
        let outcomes = if named.is_empty() {
            Vec::new()
        } else {
            ledger.expect_all(self.bookings, self.now, Admission::Refuse).await?
        };
        let mut stored = named.iter().zip(outcomes).map(|(expected, outcome)| answer(expected, &outcome));
        let answers = self.refusals.into_iter().map(|refusal| refusal.or_else(|| stored.next()));
        Ok(answers.flatten().collect())
    }
}

/// One order as JSON has it.
fn read(row: &Row, desk: &OrderDesk, integrations: &[Arc<Integration>], now: Timestamp) -> Result<Booking, Answer> {
    let Row::Order(Fields { values: fields, twice }) = row else {
        return Err(unfit("", "must be an order: an object"));
    };
    if let Some(twice) = twice {
        return Err(unfit(&excerpt(twice, REPEATABLE), "stands there more than once; which one holds?"));
    }
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let name = excerpt(unknown, REPEATABLE);
        return Err(unfit(&name, &format!("is no field of an order; there are: {}", FIELDS.join(", "))));
    }
    let required = |name| text(fields, name)?.ok_or_else(|| unfit(name, "is required"));
    let order = Order {
        integration: required("integration")?,
        reference: required("reference")?,
        amount: required("amount")?,
        currency: required("currency")?,
        created: text(fields, "created")?,
        due: text(fields, "due")?,
        poll_url: text(fields, "poll_url")?,
        merchanttrace: text(fields, "merchanttrace")?,
    };
    let on_conflict = match fields.get("replace") {
        None | Some(Value::Null | Value::Bool(false)) => OnConflict::Keep,
        Some(Value::Bool(true)) => OnConflict::Replace,
        Some(_) => return Err(unfit("replace", "must be true or false")),
    };
    let expected = desk.read(&order, now).map_err(|fault| unfit(fault.field, &fault.reason))?;
    let integration = integrations.iter().find(|integration| integration.name == expected.integration);
    let integration = integration.ok_or_else(|| unfit("integration", "is not in the configuration"))?;
    let booking = Booking::new(expected.clone(), Arc::clone(&integration.terms), on_conflict);
    let Some(response) = text(fields, "initiate_response")? else { return Ok(booking) };
    let begun = integration.gateway.read_begun(response.as_bytes());
    let begun = begun.map_err(|unproven| unfit("initiate_response", &unproven.to_string()))?;
    if expected.poll_url.is_some_and(|url| url.key() != begun.value().poll_url.key()) {
        return Err(unfit("poll_url", "is not the one of initiate_response; leave it out"));
    }
    Ok(booking.begun(begun))
}

/// The text of a field; `null` is the same as nothing.
fn text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Answer> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(_)) => Err(unfit(
            name,
            "must be in quotes: a JSON number goes through binary fractions on its way, and money must not",
        )),
        Some(_) => Err(unfit(name, "must be text in quotes")),
    }
}

fn unfit(field: &str, reason: &str) -> Answer {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    (status, json!({"status": status.as_u16(), "field": field, "reason": reason}))
}

fn answer(expected: &Expectation, outcome: &Expected) -> Answer {
    let (status, word) = match outcome {
        Expected::New => (StatusCode::CREATED, "new"),
        Expected::Known => (StatusCode::OK, "known"),
        Expected::Replaced => (StatusCode::OK, "replaced"),
        Expected::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
    };
    let mut object = json!({
        "status": status.as_u16(),
        "outcome": word,
        "integration": expected.integration.as_str(),
        "reference": expected.reference.as_str(),
    });
    if let Expected::Conflict(before) = outcome {
        object["expected_already"] = json!({"amount": before.amount.to_string(), "currency": before.currency.code()});
    }
    (status, object)
}
