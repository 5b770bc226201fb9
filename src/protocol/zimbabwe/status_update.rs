//! Status updates: what Paynow posts to a result URL, and what a poll URL answers with. One shape, one grammar.
//!
//! <https://developers.paynow.co.zw/docs/status_update.html>,
//! <https://developers.paynow.co.zw/docs/polling_status.html>

use uuid::Uuid;

use super::{Fields, HashError, Rule, doctor, hash, order, outbound};
use crate::domain::{
    Amount, Channel, Evidence, Facts, GatewayReference, MerchantTrace, Method, Observation, Origin, Payment, PollUrl,
    Reference, Status, Timestamp, WireStatus,
};
use crate::protocol::doctor::{Examination, NotSignable, Specimen};
use crate::protocol::gateway::excerpt;
use crate::protocol::{self, Answer, Begun, Gateway, Post, Question, Rejection, Setup, Traced, Unproven, Verified};

/// The base fields of a status update, each inside the grammar that the gateway writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// `reference`, `paynowreference` and `amount`.
    pub facts: Facts,
    /// `status`, understood.
    pub status: Status,
    /// `status`, as written.
    pub wire_status: WireStatus,
    /// `pollurl`, pinned to the gateway.
    pub poll_url: PollUrl,
}

/// A field is missing or not what the gateway writes there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {why}")]
pub struct BadField {
    field: &'static str,
    why: String,
}

impl StatusUpdate {
    /// Reads the base fields strictly; everything else in the message is the gateway's business.
    ///
    /// # Errors
    /// A base field is missing or outside the grammar: with a valid hash, a sign of a re-cut message.
    pub fn read(fields: &Fields, origin: &Origin) -> Result<Self, BadField> {
        fn field<T, E: ToString>(
            fields: &Fields,
            field: &'static str,
            parse: impl Fn(&str) -> Result<T, E>,
        ) -> Result<T, BadField> {
            let value = fields.value(field).ok_or_else(|| BadField { field, why: "is missing".into() })?;
            parse(value).map_err(|error| BadField { field, why: error.to_string() })
        }
        let wire_status = field(fields, "status", |text| WireStatus::parse(text.trim()))?;
        Ok(Self {
            facts: Facts {
                reference: Some(field(fields, "reference", Reference::parse)?),
                gateway_reference: Some(field(fields, "paynowreference", |text| GatewayReference::parse(text.trim()))?),
                amount: Some(field(fields, "amount", |text| text.trim().parse::<Amount>())?),
                amount_paid: None,
                method: fields.value("paymentchannel").and_then(|text| Method::parse(text.trim()).ok()),
            },
            status: status(wire_status.as_str()),
            wire_status,
            poll_url: field(fields, "pollurl", |text| PollUrl::parse(text.trim(), origin))?,
        })
    }
}

/// The gateway's status words in ours; letter case and surrounding blanks do not matter.
fn status(word: &str) -> Status {
    match word.trim().to_ascii_lowercase().as_str() {
        "created" | "created but not paid" | "awaiting redirect" => Status::Created,
        "sent" => Status::Pending,
        "awaiting delivery" => Status::AwaitingDelivery,
        "delivered" => Status::Delivered,
        "paid" => Status::Paid,
        "cancelled" => Status::Cancelled,
        "failed" => Status::Failed,
        "disputed" => Status::Disputed,
        "refunded" => Status::Refunded,
        _ => Status::Unknown,
    }
}

/// An integration that receives status updates and can be polled.
#[derive(Debug)]
pub struct StatusUpdates(Setup);

impl StatusUpdates {
    /// The integration described by `setup`.
    pub const fn new(setup: Setup) -> Self {
        Self(setup)
    }

    fn observation(&self, update: StatusUpdate, channel: Channel, body: &[u8], at: Timestamp) -> Observation {
        Observation {
            integration: self.0.integration.clone(),
            key: update.poll_url.key(),
            at,
            asked: None,
            channel,
            evidence: Evidence::Sha512,
            status: update.status,
            wire_status: Some(update.wire_status),
            said_at: None,
            facts: update.facts,
            poll_url: Some(update.poll_url),
            body: body.to_vec(),
        }
    }

    /// The payment a suspect message speaks of, if at least its poll URL is the gateway's.
    fn mentioned(&self, fields: &Fields, body: &[u8], at: Timestamp) -> Option<Observation> {
        let poll_url = PollUrl::parse(fields.value("pollurl")?.trim(), &self.0.origin).ok()?;
        let (integration, key) = (self.0.integration.clone(), poll_url.key());
        Some(Observation {
            poll_url: Some(poll_url),
            body: body.to_vec(),
            ..Observation::of_existence(integration, key, at, (Channel::Post, Evidence::Sha512))
        })
    }
}

impl Gateway for StatusUpdates {
    fn media_type(&self) -> &'static str {
        "application/x-www-form-urlencoded"
    }

    fn read_post(&self, post: &Post<'_>, at: Timestamp) -> Result<Verified<Observation>, Rejection> {
        let (fields, key) = proven_fields(post.body, Rule::Values, &self.0)?;
        match StatusUpdate::read(&fields, &self.0.origin) {
            Ok(update) => Ok(Verified::attest(self.observation(update, Channel::Post, post.body, at), key)),
            Err(bad) => {
                let about = self.mentioned(&fields, post.body, at).map(|seen| Box::new(Verified::attest(seen, key)));
                Err(Rejection::Suspect { reason: bad.to_string(), about })
            }
        }
    }

    fn origin(&self) -> &Origin {
        &self.0.origin
    }

    fn confirmable(&self) -> bool {
        true
    }

    fn poll_url(&self, text: &str) -> Option<PollUrl> {
        PollUrl::parse(text, &self.0.origin).ok()
    }

    fn question(&self, payment: &Payment, _: Uuid) -> Option<Question> {
        let url = payment.poll_url.as_ref()?.as_str().to_owned();
        Some(Question { method: protocol::Method::Post, url, headers: Vec::new(), body: Vec::new() })
    }

    fn read_answer(
        &self,
        payment: &Payment,
        answer: &Answer<'_>,
        at: Timestamp,
    ) -> Result<Verified<Observation>, Unproven> {
        let (fields, key) = answered(answer, &self.0)?;
        let update =
            StatusUpdate::read(&fields, &self.0.origin).map_err(|error| Unproven::Suspect(error.to_string()))?;
        if update.poll_url.key() != payment.key {
            return Err(Unproven::OtherPayment);
        }
        let told = self.observation(update, Channel::Poll, answer.body, at);
        Ok(Verified::attest(Observation { asked: Some(answer.asked), ..told }, key))
    }

    fn trace(&self, trace: &MerchantTrace) -> Option<Question> {
        order::question(trace, &self.0)
    }

    fn read_traced(&self, trace: &MerchantTrace, answer: &Answer<'_>, at: Timestamp) -> Result<Traced, Unproven> {
        let (fields, key) = answered(answer, &self.0)?;
        if order::is_not_found(&fields)? {
            return Ok(Traced::NotFound);
        }
        if fields.value("merchanttrace").is_some_and(|other| other.trim() != trace.as_str().trim()) {
            return Err(Unproven::OtherPayment);
        }
        let update =
            StatusUpdate::read(&fields, &self.0.origin).map_err(|error| Unproven::Suspect(error.to_string()))?;
        let told = self.observation(update, Channel::Trace, answer.body, at);
        let told = Observation { asked: Some(answer.asked), ..told };
        Ok(Traced::Found(Box::new(Verified::attest(told, key))))
    }

    fn read_begun(&self, body: &[u8]) -> Result<Verified<Begun>, Unproven> {
        order::begun(body, &self.0)
    }

    fn examine(&self, specimen: &Specimen<'_>) -> Examination {
        doctor::examine(specimen, Rule::Values, &self.0)
    }

    fn sign(&self, text: &[u8]) -> Result<String, NotSignable> {
        outbound::sign(text, "hash", Rule::Values, &self.0)
    }
}

/// The fields of a post and which key proves them.
pub(super) fn proven_fields(body: &[u8], rule: Rule, setup: &Setup) -> Result<(Fields, usize), Rejection> {
    let fields = Fields::parse(body, setup.max_fields).map_err(|error| Rejection::Malformed(error.to_string()))?;
    match hash::verify(&fields, rule, &setup.keys) {
        Ok(key) => Ok((fields, key)),
        Err(error @ HashError::Mismatch) => Err(Rejection::Forged(error.to_string())),
        Err(error) => Err(Rejection::Malformed(error.to_string())),
    }
}

/// The fields of an answer and which key proves them.
fn answered(answer: &Answer<'_>, setup: &Setup) -> Result<(Fields, usize), Unproven> {
    if answer.status == 200 { proven(answer.body, setup) } else { Err(Unproven::Status(answer.status)) }
}

/// The fields of what the gateway answered, to us or to the shop, and which key proves them.
pub(super) fn proven(body: &[u8], setup: &Setup) -> Result<(Fields, usize), Unproven> {
    if body.trim_ascii_start().starts_with(b"<") {
        return Err(Unproven::WebPage);
    }
    let fields = Fields::parse(body, setup.max_fields).map_err(|error| Unproven::Malformed(error.to_string()))?;
    let is_error = fields.value("status").is_some_and(|word| word.trim().eq_ignore_ascii_case("error"));
    match hash::verify(&fields, Rule::Values, &setup.keys) {
        Ok(key) => Ok((fields, key)),
        Err(HashError::Mismatch) => Err(Unproven::Forged),
        Err(HashError::Missing | HashError::Unparsable) if is_error => {
            Err(Unproven::Error(excerpt(fields.value("error").unwrap_or("no reason given"))))
        }
        Err(error) => Err(Unproven::Malformed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_and_legacy_word_is_understood_in_any_letter_case() {
        for (word, expected) in [
            ("Created", Status::Created),
            ("created but not paid", Status::Created),
            ("Awaiting Redirect", Status::Created),
            ("SENT", Status::Pending),
            (" Awaiting delivery ", Status::AwaitingDelivery),
            ("Delivered", Status::Delivered),
            ("paid", Status::Paid),
            ("Cancelled", Status::Cancelled),
            ("Failed", Status::Failed),
            ("Disputed", Status::Disputed),
            ("Refunded", Status::Refunded),
            ("On Hold", Status::Unknown),
            ("Error", Status::Unknown),
        ] {
            assert_eq!(status(word), expected, "{word}");
        }
    }
}
