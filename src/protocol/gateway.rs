//! What every gateway can do: read what it posts to us, phrase our question, read its answer.

use std::fmt;

use uuid::Uuid;

use super::Verified;
use super::doctor::{Examination, NotSignable, Specimen};
use crate::domain::{
    self, Class, Finding, IntegrationName, MerchantTrace, Observation, Origin, Payment, PollUrl, Refusal, Timestamp,
};

/// A post as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// The body, untouched.
    pub body: &'a [u8],
    /// Every value of the header that [`Gateway::signature_header`] names, in order.
    pub signatures: &'a [&'a [u8]],
}

/// Why a post is not taken. Reasons name fields, never their values: they go to logs and to the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a message of this protocol at all, or without anything that could prove it.
    #[error("{0}")]
    Malformed(String),
    /// The proof does not hold under any accepted key.
    #[error("{0}")]
    Forged(String),
    /// The proof holds, but the fields are not what the gateway writes: perhaps re-cut from a genuine message.
    #[error("{reason}")]
    Suspect {
        /// What is wrong with which field.
        reason: String,
        /// That there is the payment it speaks of, and how to ask about it, where that much is certain: created, and no
        /// more.
        about: Option<Box<Verified<Observation>>>,
    },
}

impl Rejection {
    /// As what the post is kept in quarantine, and what it proves nevertheless.
    pub fn kept_as(self) -> (Refusal, Option<Box<Verified<Observation>>>) {
        match self {
            Self::Malformed(_) => (Refusal::Malformed, None),
            Self::Forged(_) => (Refusal::Forged, None),
            Self::Suspect { about, .. } => (Refusal::Suspect, about),
        }
    }
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Read, the Zimbabwean way: an empty post.
    Post,
}

/// An HTTP request to a gateway. Its URL and headers may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// Further headers: names in lower case, values secret.
    pub headers: Vec<(&'static str, String)>,
    /// The body, often empty.
    pub body: Vec<u8>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("method", &self.method).finish_non_exhaustive()
    }
}

/// An HTTP reply of a gateway.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// When the question was asked: the answer may be as old as that.
    pub asked: Timestamp,
}

/// Why an answer proves nothing. None of these ever changes a payment: they mean "unknown, ask again".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Not a 200.
    #[error("the gateway answered HTTP {0}")]
    Status(u16),
    /// A web page instead of a message: overload, maintenance, or a bot challenge.
    #[error("the gateway answered with a web page")]
    WebPage,
    /// Not a message of this protocol.
    #[error("the answer is not a message of this protocol: {0}")]
    Malformed(String),
    /// An unsigned error envelope.
    #[error("the gateway answered with an unsigned error: {0}")]
    Error(String),
    /// The proof does not hold.
    #[error("the answer's hash is wrong under every accepted key")]
    Forged,
    /// Proven, but its fields are not what the gateway writes.
    #[error("the answer breaks the field grammar: {0}")]
    Suspect(String),
    /// Proven, but about another payment.
    #[error("the answer is about another payment")]
    OtherPayment,
    /// The gateway knows no such payment.
    #[error("the gateway knows no such payment")]
    NotFound,
    /// The gateway finds our signature wrong.
    #[error("the gateway refuses the signature of our question: the first of key_files is not its key")]
    BadSignature,
    /// The gateway does not know our key.
    #[error("the gateway refuses the key that names us: api_key_file does not hold its key")]
    BadApiKey,
}

impl Unproven {
    /// The stable code kept in the poll log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Status(_) => "http-status",
            Self::WebPage => "web-page",
            Self::Malformed(_) => "malformed",
            Self::Error(_) => "gateway-error",
            Self::Forged => "bad-hash",
            Self::Suspect(_) => "bad-field",
            Self::OtherPayment => "other-payment",
            Self::NotFound => "not-found",
            Self::BadSignature => "bad-signature",
            Self::BadApiKey => "bad-api-key",
        }
    }

    /// What a person must look into; `None` for what passes by itself.
    pub fn finding(&self) -> Option<Finding> {
        let (class, expected) = match self {
            Self::NotFound => (Class::MissingAtGateway, "a payment that the gateway knows"),
            Self::BadSignature | Self::BadApiKey => (Class::RefusedPolls, "an answer to our question"),
            Self::Status(_)
            | Self::WebPage
            | Self::Malformed(_)
            | Self::Error(_)
            | Self::Forged
            | Self::Suspect(_)
            | Self::OtherPayment => return None,
        };
        Some(Finding { class, expected: expected.into(), found: self.to_string() })
    }
}

/// What a gateway answers about an order of the merchant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// There is a payment, and where it stands.
    Found(Box<Verified<Observation>>),
    /// There is none, with proof.
    NotFound,
}

/// A payment that the shop has begun, in the words in which the gateway told the shop.
#[derive(Clone, PartialEq, Eq)]
pub struct Begun {
    /// The integration whose key proves it.
    pub integration: IntegrationName,
    /// Where the gateway can be asked about it, pinned to the configured origin.
    pub poll_url: PollUrl,
    /// The answer to the shop, byte for byte: for the ledger only.
    pub body: Vec<u8>,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("integration", &self.integration).finish_non_exhaustive()
    }
}

/// One integration's gateway: its keys, its address, its language.
pub trait Gateway: fmt::Debug + Send + Sync {
    /// The media type its posts have.
    fn media_type(&self) -> &'static str;

    /// The request header that carries the proof, for gateways that keep it outside the body.
    fn signature_header(&self) -> Option<&'static str> {
        None
    }

    /// Reads a post that arrived at `at`.
    ///
    /// # Errors
    /// The post is not to be believed; the caller answers as the rejection says and keeps it in quarantine.
    fn read_post(&self, post: &Post<'_>, at: Timestamp) -> Result<Verified<Observation>, Rejection>;

    /// Where it lives: integrations that share an origin share its courtesy limits.
    fn origin(&self) -> &Origin;

    /// Whether this gateway can be asked about a payment at all.
    fn confirmable(&self) -> bool;

    /// Whether its messages carry the merchant's reference, so that a payment can be told to be for an order.
    fn names_orders(&self) -> bool {
        true
    }

    /// Takes `text` if it is a poll URL of this gateway's; one that has none takes nothing.
    fn poll_url(&self, _text: &str) -> Option<PollUrl> {
        None
    }

    /// How to ask about `payment`; `None` if it cannot be asked about. `once` has never been used before, for gateways
    /// that want every question to be told apart.
    fn question(&self, payment: &Payment, once: Uuid) -> Option<Question>;

    /// Reads the answer about `payment` that arrived at `at`.
    ///
    /// # Errors
    /// The answer proves nothing; the caller asks again later, no sooner than a `Retry-After` said.
    fn read_answer(
        &self,
        payment: &Payment,
        answer: &Answer<'_>,
        at: Timestamp,
    ) -> Result<Verified<Observation>, Unproven>;

    /// How to ask about the order with this trace; `None` if this gateway knows no traces.
    fn trace(&self, _: &MerchantTrace) -> Option<Question> {
        None
    }

    /// Reads the answer about the order with this trace that arrived at `at`.
    ///
    /// # Errors
    /// The answer proves nothing, neither a payment nor that there is none; the caller asks again later.
    fn read_traced(&self, _: &MerchantTrace, _: &Answer<'_>, _: Timestamp) -> Result<Traced, Unproven> {
        Err(Unproven::Malformed("this gateway knows no traces".into()))
    }

    /// Reads what the gateway answered when the shop began a payment, as the shop hands it on.
    ///
    /// # Errors
    /// It proves no payment, for the reason given; the caller takes no poll URL from it.
    fn read_begun(&self, _: &[u8]) -> Result<Verified<Begun>, Unproven> {
        Err(Unproven::Malformed("this gateway proves nothing when a payment is begun".into()))
    }

    /// Tries the mistakes that are known to be made with this protocol's proof, under this integration's keys.
    fn examine(&self, specimen: &Specimen<'_>) -> Examination;

    /// Proves a message of the shop's own under the current key. Takes it as a person writes it, returns what to send.
    ///
    /// # Errors
    /// The text is no message of this protocol.
    fn sign(&self, text: &[u8]) -> Result<String, NotSignable>;
}

/// How long a text from outside may become in a reason: enough to recognise, too short to flood a log.
const EXCERPT: usize = 80;

/// A piece of text from outside, made harmless and bounded.
pub(in crate::protocol) fn excerpt(text: &str) -> String {
    domain::excerpt(text, EXCERPT)
}
