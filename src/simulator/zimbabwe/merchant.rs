//! What shops ask with a hash: begin a payment, begin an express payment, trace one.
//!
//! <https://developers.paynow.co.zw/docs/initiate_transaction.html>,
//! <https://developers.paynow.co.zw/docs/express_checkout.html>

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;

use super::state::{Order, Payment, Twin};
use crate::domain::{Amount, Reference};
use crate::http::Response;
use crate::protocol::Keys;
use crate::protocol::zimbabwe::{Fields, HashError, Rule, hash};
use crate::simulator::server::text;

/// How many fields a shop's request may have.
const FIELDS: usize = 64;

/// The longest merchanttrace, in characters.
const TRACE: usize = 32;

/// The ways to pay without the customer leaving the shop.
const METHODS: [&str; 6] = ["ecocash", "onemoney", "innbucks", "omari", "vmc", "zimswitch"];

/// What Paynow's test mode makes of a phone number.
/// <https://developers.paynow.co.zw/docs/test_mode.html>
enum Script {
    Then(&'static str, Duration),
    Refuse(&'static str),
    None,
}

impl Script {
    fn of(phone: &str) -> Self {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        let local = digits.strip_prefix("263").map_or_else(|| digits.clone(), |rest| format!("0{rest}"));
        match local.as_str() {
            "0771111111" => Self::Then("Paid", Duration::from_secs(5)),
            "0772222222" => Self::Then("Paid", Duration::from_secs(30)),
            "0773333333" => Self::Then("Failed", Duration::from_secs(30)),
            "0774444444" => Self::Refuse("Insufficient balance"),
            _ => Self::None,
        }
    }
}

/// `POST /interface/initiatetransaction`
pub(super) fn initiate(twin: &Arc<Twin>, body: &[u8]) -> Response {
    let begun = proven(twin, body).and_then(|fields| begin(twin, &fields));
    reply(
        twin,
        begun.map(|payment| {
            if let Some(wait) = twin.settings.auto_pay {
                twin.move_later(&payment.guid, "Paid", wait);
            }
            let browser_url = format!("{}/Payment/ConfirmPayment/{}", twin.origin, payment.gateway_reference);
            Fields::from_pairs([
                ("status", "Ok"),
                ("browserurl", &browser_url),
                ("pollurl", &twin.poll_url(&payment.guid)),
                ("paynowreference", &payment.gateway_reference),
            ])
        }),
    )
}

/// `POST /interface/remotetransaction`
pub(super) fn express(twin: &Arc<Twin>, body: &[u8]) -> Response {
    reply(twin, proven(twin, body).and_then(|fields| begin_express(twin, &fields)))
}

fn begin_express(twin: &Arc<Twin>, fields: &Fields) -> Result<Fields, String> {
    let method = required(fields, "method")?.to_ascii_lowercase();
    if !METHODS.contains(&method.as_str()) {
        return Err("Invalid payment method".to_owned());
    }
    // Cards are charged by token, everything else by phone number.
    let payer = if method == "vmc" || method == "zimswitch" { "token" } else { "phone" };
    let script = Script::of(required(fields, payer)?);
    if let Script::Refuse(why) = script {
        return Err(why.to_owned());
    }
    let payment = begin(twin, fields)?;
    if let Some(payment) = twin.state().find_mut(&payment.guid) {
        "Sent".clone_into(&mut payment.status);
    }
    match (script, twin.settings.auto_pay) {
        (Script::Then(word, wait), _) => twin.move_later(&payment.guid, word, wait),
        (_, Some(wait)) => twin.move_later(&payment.guid, "Paid", wait),
        (_, None) => {}
    }
    let mut fields = Fields::from_pairs([("status", "Ok")]);
    if method == "innbucks" {
        fields.push("authorizationcode", &payment.gateway_reference);
        fields.push("authorizationexpires", "08-Nov-2032 15:19:03");
    }
    fields.push("instructions", "This is a simulation: nobody's phone rings. Play the customer on the control pages.");
    fields.push("paynowreference", &payment.gateway_reference);
    fields.push("pollurl", &twin.poll_url(&payment.guid));
    Ok(fields)
}

/// `POST /interface/trace`
pub(super) fn trace(twin: &Arc<Twin>, body: &[u8]) -> Response {
    let wanted = proven(twin, body).and_then(|fields| required(&fields, "merchanttrace").map(str::to_owned));
    let found = wanted.map(|trace| twin.state().find_traced(&trace).cloned());
    match found {
        Ok(Some(payment)) => text(StatusCode::OK, twin.write(&payment, &twin.update(&payment.status))),
        Ok(None) => reply(twin, Ok(Fields::from_pairs([("status", "NotFound")]))),
        Err(why) => reply(twin, Err(why)),
    }
}

/// The fields of a request that is this merchant's.
fn proven(twin: &Twin, body: &[u8]) -> Result<Fields, String> {
    let fields = Fields::parse(body, FIELDS).map_err(|error| format!("Invalid request: {error}"))?;
    if required(&fields, "id")?.trim() != twin.settings.id {
        return Err("Invalid Id.".to_owned());
    }
    let key = &twin.settings.key;
    match hash::verify(&fields, Rule::Values, &Keys::new(key.clone(), Vec::new())) {
        Ok(_) => Ok(fields),
        Err(HashError::Missing) => Err("Missing hash".to_owned()),
        Err(HashError::Mismatch | HashError::Unparsable) => {
            let claims = fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("hash"));
            let right = hash::sign(Fields::from_pairs(claims), "hash", Rule::Values, key);
            let start: String = right.value("hash").unwrap_or_default().chars().take(6).collect();
            Err(format!("Invalid Hash. Hash should start with: {start}"))
        }
    }
}

fn begin(twin: &Twin, fields: &Fields) -> Result<Payment, String> {
    let invalid = |field: &str| format!("Invalid {field} field");
    let reference = required(fields, "reference")?;
    Reference::parse(reference).map_err(|_| invalid("reference"))?;
    let amount = cents(required(fields, "amount")?).ok_or_else(|| invalid("amount"))?;
    required(fields, "status")?;
    let url = |name: &str| fields.value(name).map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned);
    let result_url = url("resulturl").or_else(|| twin.settings.result_url.clone());
    if result_url.is_none() {
        return Err(missing("resulturl"));
    }
    let return_url = Some(url("returnurl").ok_or_else(|| missing("returnurl"))?);
    let order = Order { reference: reference.to_owned(), amount: amount.to_string(), result_url, return_url };
    match fields.value("merchanttrace").map(str::trim).filter(|trace| !trace.is_empty()) {
        None => Ok(twin.state().begin(order)),
        Some(trace) if trace.chars().count() > TRACE => Err(invalid("merchanttrace")),
        Some(trace) => twin.state().begin_traced(order, trace).ok_or_else(|| "Duplicate merchanttrace".to_owned()),
    }
}

/// A positive amount, rounded to cents: shops that count in floats send `0.30000000000000004` for thirty cents.
pub(super) fn cents(text: &str) -> Option<Amount> {
    let text = text.trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exact: Amount = format!("{whole}.{:0<4}", decimals.get(..4).unwrap_or(decimals)).parse().ok()?;
    let rounded = (exact.ten_thousandths() + 50) / 100 * 100;
    Amount::from_ten_thousandths(rounded).filter(|amount| *amount > Amount::ZERO)
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, String> {
    fields.value(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> String {
    format!("Missing {name} field")
}

/// Yes is signed; no is not.
fn reply(twin: &Twin, outcome: Result<Fields, String>) -> Response {
    let fields = match outcome {
        Ok(fields) => hash::sign(fields, "hash", Rule::Values, &twin.settings.key),
        Err(why) => {
            tracing::info!(error = why, "simulator: refused a shop's request");
            Fields::from_pairs([("status", "Error"), ("error", &why)])
        }
    };
    text(StatusCode::OK, fields.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_counted_in_floats_are_rounded_to_cents() {
        for (wire, amount) in
            [("0.30000000000000004", "0.30"), ("19.989999999999998", "19.99"), ("10.0", "10.00"), ("7", "7.00")]
        {
            assert_eq!(cents(wire).unwrap().to_string(), amount);
        }
        for wire in ["", "0", "0.001", "-1", "1,000.00", "free", "1.x", "1.2345é"] {
            assert_eq!(cents(wire), None, "{wire}");
        }
    }
}
