//! One merchant's account with Paynow Poland: reads its notifications, asks about its payments.

use uuid::Uuid;

use super::notification::payment_id;
use super::signature::{self, SignatureError};
use super::{Notification, StatusReply, doctor, json, request};
use crate::domain::{
    Channel, Evidence, Facts, GatewayKey, Observation, Origin, Payment, SaidAt, Status, Timestamp, WireStatus,
};
use crate::protocol::doctor::{Examination, NotSignable, Specimen};
use crate::protocol::{Answer, Gateway, Post, Question, Rejection, Setup, Unproven, Verified};

/// An integration that receives notifications and can ask for a payment's status.
#[derive(Debug)]
pub struct Account(Setup);

/// What differs between what they tell and what they answer.
struct Telling<'a> {
    channel: Channel,
    evidence: Evidence,
    said_at: Option<SaidAt>,
    facts: Facts,
    body: &'a [u8],
}

impl Account {
    /// The account described by `setup`. Without an Api-Key nobody can be asked.
    pub const fn new(setup: Setup) -> Self {
        Self(setup)
    }

    fn observation(
        &self,
        (key, status, word): (GatewayKey, Status, WireStatus),
        telling: Telling<'_>,
        at: Timestamp,
    ) -> Observation {
        Observation {
            integration: self.0.integration.clone(),
            key,
            at,
            asked: None,
            channel: telling.channel,
            evidence: telling.evidence,
            status,
            wire_status: Some(word),
            said_at: telling.said_at,
            facts: telling.facts,
            poll_url: None,
            body: telling.body.to_vec(),
        }
    }

    /// The payment of this id, of which a suspect message says no more than that there is one.
    fn mentioned(&self, key: GatewayKey, body: &[u8], at: Timestamp) -> Observation {
        let how = (Channel::Post, Evidence::HmacSha256);
        Observation { body: body.to_vec(), ..Observation::of_existence(self.0.integration.clone(), key, at, how) }
    }
}

impl Gateway for Account {
    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn signature_header(&self) -> Option<&'static str> {
        Some("signature")
    }

    fn read_post(&self, post: &Post<'_>, at: Timestamp) -> Result<Verified<Observation>, Rejection> {
        let key = signature::verify(post.body, post.signatures, &self.0.keys).map_err(|error| match error {
            SignatureError::Mismatch => Rejection::Forged(error.to_string()),
            SignatureError::Missing | SignatureError::Repeated | SignatureError::Unparsable => {
                Rejection::Malformed(error.to_string())
            }
        })?;
        let message =
            json::object(post.body, self.0.max_fields).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let told = Notification::read(&message).map_err(|bad| {
            let id = message.get("paymentId").and_then(|id| payment_id(id.as_str()?).ok());
            let about = id.map(|id| Box::new(Verified::attest(self.mentioned(id, post.body, at), key)));
            Rejection::Suspect { reason: bad.to_string(), about }
        })?;
        let telling = Telling {
            channel: Channel::Post,
            evidence: Evidence::HmacSha256,
            said_at: Some(told.modified_at),
            facts: Facts { reference: told.external_id, ..Facts::default() },
            body: post.body,
        };
        Ok(Verified::attest(self.observation((told.payment_id, told.status, told.wire_status), telling, at), key))
    }

    fn origin(&self) -> &Origin {
        &self.0.origin
    }

    fn confirmable(&self) -> bool {
        self.0.api_key.is_some()
    }

    fn question(&self, payment: &Payment, once: Uuid) -> Option<Question> {
        let api_key = self.0.api_key.as_ref()?;
        Some(request::status(&self.0.origin, &payment.key, api_key, self.0.keys.current(), once))
    }

    fn read_answer(
        &self,
        payment: &Payment,
        answer: &Answer<'_>,
        at: Timestamp,
    ) -> Result<Verified<Observation>, Unproven> {
        let reply = StatusReply::read(answer, self.0.max_fields)?;
        if reply.payment_id != payment.key {
            return Err(Unproven::OtherPayment);
        }
        let telling = Telling {
            channel: Channel::Poll,
            evidence: Evidence::Tls,
            said_at: None,
            facts: Facts::default(),
            body: answer.body,
        };
        let told = self.observation((reply.payment_id, reply.status, reply.wire_status), telling, at);
        Ok(Verified::attest(Observation { asked: Some(answer.asked), ..told }, 0))
    }

    fn examine(&self, specimen: &Specimen<'_>) -> Examination {
        doctor::examine(specimen, &self.0)
    }

    fn sign(&self, text: &[u8]) -> Result<String, NotSignable> {
        json::object(text, self.0.max_fields).map_err(|error| NotSignable(error.to_string()))?;
        Ok(format!("Signature: {}", signature::sign(text, self.0.keys.current())))
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
