//! The pages that Paynow does not have: a person or a script plays the customer and the bad day.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::merchant::cents;
use super::message::ButtonSale;
use super::state::{Order, Payment, Twin};
use crate::http::{Response, empty};
use crate::protocol::zimbabwe::Fields;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::server::{json, page, text, with};

/// How many fields a control form may have.
const FIELDS: usize = 64;

/// The customer's page: no script, nothing from elsewhere, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";

/// `GET /simulator/payments`
pub(super) fn list(twin: &Twin) -> Response {
    let payments: Value = twin.state().payments().iter().map(|payment| shown(twin, payment)).collect();
    json(StatusCode::OK, &payments)
}

/// `POST /simulator/payments`
pub(super) fn begin(twin: &Twin, body: &[u8]) -> Response {
    let begun = form(body).and_then(|fields| {
        let value = |name: &str| fields.value(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let amount =
            value("amount").as_deref().and_then(cents).ok_or("field amount: must be an amount above nought")?;
        let order = Order {
            reference: value("reference").ok_or("field reference: is missing")?,
            amount: amount.to_string(),
            result_url: value("resulturl").or_else(|| twin.settings.result_url.clone()),
            ..Order::default()
        };
        Ok(twin.state().begin(order))
    });
    match begun {
        Ok(payment) => json(StatusCode::CREATED, &shown(twin, &payment)),
        Err(why) => wrong(&why),
    }
}

/// `POST /simulator/payments/{guid}/status`
pub(super) async fn set_status(twin: &Arc<Twin>, guid: &str, body: &[u8]) -> Response {
    let fields = match form(body) {
        Ok(fields) => fields,
        Err(why) => return wrong(&why),
    };
    let Some(word) = fields.value("status").map(str::trim).filter(|word| !word.is_empty()) else {
        return wrong("field status: is missing");
    };
    let Some(delivery) = twin.move_to(guid, word).await else {
        return json(StatusCode::NOT_FOUND, &json!({ "error": "no such payment" }));
    };
    match twin.payment(guid) {
        Ok(payment) if fields.value("from") == Some("page") => {
            let there = format!("/Payment/ConfirmPayment/{}", payment.gateway_reference);
            with(empty(StatusCode::SEE_OTHER), "location", &there)
        }
        _ => json(
            StatusCode::OK,
            &json!({ "status": word, "post": delivery.to_string(), "http_status": delivery.status() }),
        ),
    }
}

/// `POST /simulator/button`
pub(super) async fn button(twin: &Twin, body: &[u8]) -> Response {
    let fields = match form(body) {
        Ok(fields) => fields,
        Err(why) => return wrong(&why),
    };
    let (Some(url), Some(amount)) = (fields.value("url"), fields.value("amount")) else {
        return wrong("fields url and amount are needed");
    };
    let mut sale = ButtonSale { amount: amount.to_owned(), paid: amount.to_owned(), ..ButtonSale::default() };
    for (name, value) in fields.iter() {
        let value = value.to_owned();
        match name {
            "url" | "amount" => {}
            "paid" => sale.paid = value,
            "reference" => sale.reference = value,
            "name" => sale.name = value,
            "email" => sale.email = value,
            "phone" => sale.phone = value,
            extra => sale.extras.push((extra.replace(' ', "_"), value)),
        }
    }
    match twin.post_button(url, &sale).await {
        Ok(status) => json(StatusCode::OK, &json!({ "post": format!("answered {status}"), "http_status": status })),
        Err(error) => json(StatusCode::BAD_GATEWAY, &json!({ "error": error.to_string() })),
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
            let codes: Vec<&str> = Misbehaviour::ALL.into_iter().map(Misbehaviour::code).collect();
            format!("field misbehaviour: must be none or one of {}", codes.join(", "))
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

/// `GET /Payment/ConfirmPayment/{n}`
pub(super) fn confirm(twin: &Twin, gateway_reference: &str) -> Response {
    let Some(payment) = twin.state().find_numbered(gateway_reference).cloned() else {
        return text(StatusCode::NOT_FOUND, "no such payment\n");
    };
    let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    let context = minijinja::context! {
        guid => payment.guid,
        reference => payment.reference,
        gateway_reference => payment.gateway_reference,
        amount => payment.amount,
        status => payment.status,
        posted => payment.posts.last().map(ToString::to_string),
        return_url => payment.return_url.filter(is_web),
    };
    let environment = minijinja::Environment::new();
    match environment.render_named_str("confirm.html", include_str!("confirm.html"), context) {
        Ok(html) => with(page(StatusCode::OK, html), "content-security-policy", POLICY),
        Err(error) => {
            tracing::error!(%error, "simulator: cannot write the customer's page");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn shown(twin: &Twin, payment: &Payment) -> Value {
    json!({
        "guid": payment.guid,
        "reference": payment.reference,
        "paynowreference": payment.gateway_reference,
        "amount": payment.amount,
        "status": payment.status,
        "pollurl": twin.poll_url(&payment.guid),
        "browserurl": format!("{}/Payment/ConfirmPayment/{}", twin.origin, payment.gateway_reference),
        "resulturl": payment.result_url,
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
