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
        let (gateway_key, facts) = sale(&fields).map_err(|reason| Rejection::Suspect { reason, about: None })?;
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

/// The fields of a sale that somebody acts upon.
const BASE: [&str; 3] = ["Paynow_Reference", "Transaction_Amount", "Amount_Paid"];

/// Stands in every message about one payment that Paynow signs for the shop, and in no sale.
const POLL_URL: &str = "/interface/checkpayment";

/// The hash is over names and values in one row, which customers write in, too: with their name here, with a reference
/// where a status update is signed with the same key. So a base field must be found in that row at one place only, and
/// end where it cannot have gone on.
fn one_reading(fields: &Fields) -> Result<(), String> {
    let hashed = || fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("hash"));
    // Blanks may be hashed or not, and so could hide a name.
    let row: String = hashed().flat_map(|(name, value)| name.chars().chain(value.chars())).collect();
    let row: String = row.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    if row.contains(POLL_URL) {
        return Err("a poll URL stands in it, as in a message of another kind".into());
    }
    for name in BASE {
        if row.matches(&name.to_ascii_lowercase()).count() > 1 {
            return Err(format!("field {name}: its name stands in the message twice"));
        }
    }
    for ((name, _), (next, _)) in hashed().zip(hashed().skip(1)) {
        let goes_on = next.is_empty() || next.starts_with(|c: char| c.is_ascii_digit() || c == ',' || c == '.');
        // Behind the third come the template's own fields, whatever they are called.
        let base = BASE.into_iter().take(2).find(|base| base.eq_ignore_ascii_case(name));
        if let Some(base) = base.filter(|_| goes_on) {
            return Err(format!("field {base}: may go on in the name of the next"));
        }
    }
    Ok(())
}

/// The base fields of a sale. The customer may have paid fees on top, so both amounts are kept.
fn sale(fields: &Fields) -> Result<(GatewayKey, Facts), String> {
    one_reading(fields)?;
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
