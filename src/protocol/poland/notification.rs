//! Notifications: what Poland posts when a payment's status changes. No amount, no currency, nothing to tell one
//! notification from the next.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use chrono::NaiveDateTime;
use chrono_tz::Europe::Warsaw;
use serde_json::{Map, Value};

use super::status;
use crate::domain::{GatewayKey, Reference, SaidAt, Status, WireStatus};

/// How long an `externalId` may be, in characters.
const EXTERNAL_ID: usize = 100;

/// How `modifiedAt` is written: by a clock on a Polish wall, without saying whether it is summer.
const CLOCK: &str = "%Y-%m-%dT%H:%M:%S";

/// One notification, each field inside the grammar that the gateway writes. Other fields are the gateway's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// `paymentId`: the payment's identity.
    pub payment_id: GatewayKey,
    /// `externalId`: the merchant's word for the order; several payments may share it, and it may be absent.
    pub external_id: Option<Reference>,
    /// `status`, understood.
    pub status: Status,
    /// `status`, as written.
    pub wire_status: WireStatus,
    /// `modifiedAt`. Seconds tie and an hour repeats each October, so it orders nothing.
    pub modified_at: SaidAt,
}

/// A field is missing or not what the gateway writes there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {why}")]
pub struct BadField {
    field: &'static str,
    why: String,
}

impl Notification {
    /// Reads the fields strictly.
    ///
    /// # Errors
    /// A field is missing or outside the grammar. With a valid signature that is a gateway that has changed.
    pub fn read(message: &Map<String, Value>) -> Result<Self, BadField> {
        let wire_status = required(message, "status", status::word)?;
        Ok(Self {
            payment_id: required(message, "paymentId", payment_id)?,
            external_id: optional(message, "externalId", external_id)?,
            status: status::status(&wire_status),
            wire_status,
            modified_at: required(message, "modifiedAt", modified_at)?,
        })
    }
}

/// `^[A-Za-z0-9]{4}(-[A-Za-z0-9]{3}){3}$`
pub(super) fn payment_id(text: &str) -> Result<GatewayKey, String> {
    let sound = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 8 | 12 => byte == b'-',
            _ => byte.is_ascii_alphanumeric(),
        });
    let key = sound.then(|| GatewayKey::parse(text).ok()).flatten();
    key.ok_or_else(|| "must be letters and digits like NOLV-8F9-08K-WGD".into())
}

fn external_id(text: &str) -> Result<Reference, String> {
    if text.chars().count() > EXTERNAL_ID {
        return Err(format!("must be at most {EXTERNAL_ID} characters"));
    }
    Reference::parse(text).map_err(|error| error.to_string())
}

fn modified_at(text: &str) -> Result<SaidAt, String> {
    NaiveDateTime::parse_from_str(text, CLOCK)
        .ok()
        .filter(|clock| clock.format(CLOCK).to_string() == text)
        .map(|clock| SaidAt::on_a_clock(text, clock, &Warsaw))
        .ok_or_else(|| "must be a time like 2018-12-12T13:24:52".into())
}

/// The field, which must be there and a text.
pub(super) fn required<T>(
    message: &Map<String, Value>,
    field: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, BadField> {
    optional(message, field, parse)?.ok_or_else(|| BadField { field, why: "is missing".into() })
}

/// The field, if it is there; `null` is not there.
fn optional<T>(
    message: &Map<String, Value>,
    field: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, BadField> {
    match message.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => parse(text).map(Some).map_err(|why| BadField { field, why }),
        Some(_) => Err(BadField { field, why: "must be a text".into() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Notification, BadField> {
        let mut message = json!({
            "paymentId": "NOLV-8F9-08K-WGD",
            "externalId": "9fea23c7-cd5c-4884-9842-6f8592be65df",
            "status": "CONFIRMED",
            "modifiedAt": "2018-12-12T13:24:52",
        });
        change(message.as_object_mut().unwrap());
        Notification::read(message.as_object().unwrap())
    }

    fn with(field: &str, value: Value) -> Result<Notification, BadField> {
        read(|message| {
            message.insert(field.into(), value);
        })
    }

    #[test]
    fn the_documented_notification_is_read_as_it_is_meant() {
        let seen = read(|_| ()).unwrap();
        assert_eq!(seen.payment_id.as_str(), "NOLV-8F9-08K-WGD");
        assert_eq!(seen.external_id.unwrap().as_str(), "9fea23c7-cd5c-4884-9842-6f8592be65df");
        assert_eq!((seen.status, seen.wire_status.as_str()), (Status::Paid, "CONFIRMED"));
        assert_eq!(seen.modified_at.as_str(), "2018-12-12T13:24:52");
        assert_eq!(seen.modified_at.meant().unwrap().0.to_rfc3339(), "2018-12-12T12:24:52+00:00");
    }

    #[test]
    fn an_external_id_may_be_absent_and_other_fields_may_be_there() {
        assert_eq!(with("externalId", Value::Null).unwrap().external_id, None);
        let without = read(|message| {
            message.remove("externalId");
        });
        assert_eq!(without.unwrap().external_id, None);
        assert!(with("amount", json!({"value": [100, null, true]})).is_ok());
    }

    #[test]
    fn a_field_outside_the_grammar_is_named_and_its_value_is_not() {
        let long = "x".repeat(101);
        for (field, value) in [
            ("paymentId", "ZZZZ-8F9-08K-WG"),
            ("paymentId", "NOLV-8F9-08K-WGDX"),
            ("paymentId", "NOLV_8F9-08K-WGD"),
            ("paymentId", "NOL-V8F9-08K-WGD"),
            ("paymentId", "NOL\u{141}-8F9-08K-WG"),
            ("externalId", ""),
            ("externalId", "a\nb"),
            ("externalId", &long),
            ("status", "confirmed"),
            ("modifiedAt", "2018-12-12 13:24:52"),
            ("modifiedAt", "2018-12-12T13:24:52Z"),
            ("modifiedAt", "2018-12-12T13:24:52.1"),
            ("modifiedAt", "2018-12-12T1:24:52"),
            ("modifiedAt", "+2018-12-12T13:24:52"),
            ("modifiedAt", "2018-02-30T13:24:52"),
        ] {
            let why = with(field, value.into()).unwrap_err().to_string();
            assert!(why.starts_with(&format!("field {field}: must be")), "{value}: {why}");
            assert!(value.is_empty() || !why.contains(value), "{why}");
        }
        for field in ["paymentId", "status", "modifiedAt"] {
            let missing = with(field, Value::Null).unwrap_err();
            assert_eq!(missing.to_string(), format!("field {field}: is missing"));
            assert!(with(field, json!(7)).is_err());
        }
        assert!(with("externalId", json!("x".repeat(100))).is_ok());
    }
}
