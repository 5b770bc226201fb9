//! What Paynow Poland writes, and what somebody who is not Paynow might.

use chrono::NaiveDateTime;
use serde_json::json;

use super::state::{Payment, Twin};
use crate::protocol::Key;
use crate::protocol::poland::signature;
use crate::simulator::Signature;

/// Names and values of headers, in order.
pub type Headers = Vec<(String, String)>;

/// A notification to be made: begins as a genuine one and can be spoilt in every respect.
#[derive(Clone, Debug)]
pub struct NotificationSpec {
    status: String,
    modified_at: Option<String>,
    external_id: bool,
    pretty: bool,
    changes: Vec<(String, serde_json::Value)>,
    signature: Signature,
    verbatim: Option<Vec<u8>>,
    headers: Headers,
    pub(super) url: Option<String>,
}

impl NotificationSpec {
    /// A genuine notification with this status word.
    pub fn status(word: &str) -> Self {
        Self {
            status: word.to_owned(),
            modified_at: None,
            external_id: true,
            pretty: false,
            changes: Vec::new(),
            signature: Signature::Genuine,
            verbatim: None,
            headers: Vec::new(),
            url: None,
        }
    }

    /// Changed at this time by the gateway's clock, `2018-12-12T13:24:52`.
    #[must_use]
    pub fn modified_at(mut self, clock: &str) -> Self {
        self.modified_at = Some(clock.to_owned());
        self
    }

    /// Without `externalId`.
    #[must_use]
    pub const fn without_external_id(mut self) -> Self {
        self.external_id = false;
        self
    }

    /// On several lines, as the documentation prints it. The signature is over the lines.
    #[must_use]
    pub const fn pretty(mut self) -> Self {
        self.pretty = true;
        self
    }

    /// With this field; one of the gateway's is replaced. It is signed like the rest.
    #[must_use]
    pub fn field(mut self, name: &str, value: serde_json::Value) -> Self {
        self.changes.push((name.to_owned(), value));
        self
    }

    /// Signed otherwise.
    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// With exactly this body, whatever else was said; it is signed like any.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.verbatim = Some(body.into());
        self
    }

    /// With this header, too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// To this address instead of the shop's. It must be on this machine.
    #[must_use]
    pub fn to(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    fn body_of(&self, payment: &Payment) -> Vec<u8> {
        if let Some(body) = &self.verbatim {
            return body.clone();
        }
        let mut fields = vec![("paymentId".to_owned(), json!(payment.id))];
        if self.external_id {
            fields.push(("externalId".to_owned(), json!(payment.external_id)));
        }
        fields.push(("status".to_owned(), json!(self.status)));
        let clock = self.modified_at.clone().unwrap_or_else(|| clock_text(payment.modified_at));
        fields.push(("modifiedAt".to_owned(), json!(clock)));
        for (name, value) in &self.changes {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => field.1.clone_from(value),
                None => fields.push((name.clone(), value.clone())),
            }
        }
        let (open, colon, between, close) =
            if self.pretty { ("{\n    ", ": ", ",\n    ", "\n}") } else { ("{", ":", ",", "}") };
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}{colon}{value}", json!(name))).collect();
        format!("{open}{}{close}", fields.join(between)).into_bytes()
    }
}

impl Twin {
    /// The headers and the body that `spec` describes for this payment.
    pub(super) fn write(&self, payment: &Payment, spec: &NotificationSpec) -> (Headers, Vec<u8>) {
        let body = spec.body_of(payment);
        let proof = match &spec.signature {
            Signature::Genuine => Some(signature::sign(&body, &self.settings.signature_key)),
            Signature::Wrong => Some(signature::sign(&body, &Key::opaque("00000000-0000-4000-8000-000000000000"))),
            Signature::With(other) => Some(signature::sign(&body, other)),
            Signature::Text(text) => Some(text.clone()),
            Signature::Missing => None,
        };
        let mut headers = spec.headers.clone();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        headers.extend(proof.map(|proof| ("Signature".to_owned(), proof)));
        (headers, body)
    }
}

/// A clock's time as Paynow Poland writes it.
pub(super) fn clock_text(clock: NaiveDateTime) -> String {
    clock.format("%Y-%m-%dT%H:%M:%S").to_string()
}
