//! Custom-button notifications: a sale, told once, that nobody can be asked about again.
//!
//! <https://developers.paynow.co.zw/docs/notification_success_cancel_urls.html>

use uuid::Uuid;

use super::status_update::proven_fields;
use super::{Fields, Rule, doctor, outbound};
use crate::domain::{
    Amount, Channel, Evidence, Facts, GatewayKey, GatewayReference, Observation, Origin, Payment, Status, Timestamp,
};
use crate::protocol::doctor::{Examination, NotSignable, Specimen};
use crate::protocol::{Answer, Gateway, Post, Question, Rejection, Setup, Unproven, Verified};

/// An integration that receives the notifications of one custom-button template.
#[derive(Debug)]
pub struct Button(Setup);

impl Button {
    /// The template described by `setup`; its keys are the template's.
    pub const fn new(setup: Setup) -> Self {
        Self(setup)
    }
}

impl Gateway for Button {
    fn media_type(&self) -> &'static str {
        "application/x-www-form-urlencoded"
    }

    fn read_post(&self, post: &Post<'_>, at: Timestamp) -> Result<Verified<Observation>, Rejection> {
        let (fields, key) = proven_fields(post.body, Rule::NamesAndValues, &self.0)?;
        let (gateway_key, facts) = sale(&fields).map_err(|reason| Rejection::Suspect { reason, key: None })?;
        let observation = Observation {
            integration: self.0.integration.clone(),
            key: gateway_key,
            at,
            asked: None,
            channel: Channel::Button,
            evidence: Evidence::Sha512,
            status: Status::Paid,
            wire_status: None,
            said_at: None,
            facts,
            poll_url: None,
            body: post.body.to_vec(),
        };
        Ok(Verified::attest(observation, key))
    }

    fn origin(&self) -> &Origin {
        &self.0.origin
    }

    fn confirmable(&self) -> bool {
        false
    }

    fn names_orders(&self) -> bool {
        false
    }

    fn question(&self, _: &Payment, _: Uuid) -> Option<Question> {
        None
    }

    fn read_answer(&self, _: &Payment, answer: &Answer<'_>, _: Timestamp) -> Result<Verified<Observation>, Unproven> {
        Err(Unproven::Status(answer.status))
    }

    fn examine(&self, specimen: &Specimen<'_>) -> Examination {
        doctor::examine(specimen, Rule::NamesAndValues, &self.0)
    }

    fn sign(&self, text: &[u8]) -> Result<String, NotSignable> {
        outbound::sign(text, "Hash", Rule::NamesAndValues, &self.0)
    }
}

/// The base fields of a sale. The customer may have paid fees on top, so both amounts are kept.
fn sale(fields: &Fields) -> Result<(GatewayKey, Facts), String> {
    let value = |name: &str| fields.value(name).ok_or_else(|| format!("field {name}: is missing"));
    let amount =
        |name: &str| value(name)?.trim().parse::<Amount>().map(Some).map_err(|error| format!("field {name}: {error}"));
    let reference = GatewayReference::parse(value("Paynow_Reference")?.trim())
        .map_err(|error| format!("field Paynow_Reference: {error}"))?;
    let key = GatewayKey::parse(reference.as_str()).map_err(|error| format!("field Paynow_Reference: {error}"))?;
    let facts = Facts {
        reference: None,
        gateway_reference: Some(reference),
        amount: amount("Transaction_Amount")?,
        amount_paid: amount("Amount_Paid")?,
        method: None,
    };
    Ok((key, facts))
}
