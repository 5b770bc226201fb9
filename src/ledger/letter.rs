//! One letter in the outbox: what it tells, to whom, and what became of it.

use std::sync::Arc;

use chrono::NaiveDate;

use super::runs::Reported;
use crate::domain::{NoticeKind, Payment, Timestamp};

/// The notice of a letter that tells what a run found. Letters about a payment have the code of their kind.
pub(super) const REPORT: &str = "report";

/// A letter that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The ledger's number for it.
    pub id: i64,
    /// To whom.
    pub recipient: String,
    /// What it tells.
    pub about: About,
    /// When it was written: as the fact it tells was stored, or once a claim had been unconfirmed for too long.
    pub written: Timestamp,
    /// When it was put into the post: then, or last by hand.
    pub since: Timestamp,
    /// How often it has been tried since.
    pub attempts: u32,
    /// The same for every attempt at this letter, and for no other: tells nothing of the payment.
    pub token: String,
}

/// What a letter tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// That a payment has reached a state.
    Payment {
        /// Why it is told.
        kind: NoticeKind,
        /// The payment as it stands.
        payment: Box<Payment>,
    },
    /// What a run found. Shared by all who are told.
    Report(Arc<Reported>),
}

impl About {
    /// The stable code of why the letter is written.
    pub fn code(&self) -> String {
        match self {
            Self::Payment { kind, .. } => kind.code(),
            Self::Report(_) => REPORT.to_owned(),
        }
    }
}

/// What a letter is about, as `mail list` shows it.
#[derive(Clone, Debug)]
pub enum Topic {
    /// A payment.
    Payment {
        /// Why it is told.
        kind: NoticeKind,
        /// The payment as it stands.
        payment: Box<Payment>,
    },
    /// The report about these civil days.
    Report {
        /// The first of them.
        first: NaiveDate,
        /// The last of them.
        last: NaiveDate,
    },
}

impl Topic {
    /// The stable code of why the letter is written.
    pub fn code(&self) -> String {
        match self {
            Self::Payment { kind, .. } => kind.code(),
            Self::Report { .. } => REPORT.to_owned(),
        }
    }

    /// The payment, where it is about one.
    pub fn payment(&self) -> Option<&Payment> {
        match self {
            Self::Payment { payment, .. } => Some(payment),
            Self::Report { .. } => None,
        }
    }
}

/// A letter as `mail list` shows it.
#[derive(Clone, Debug)]
pub struct LetterState {
    /// The ledger's number for it.
    pub id: i64,
    /// To whom.
    pub recipient: String,
    /// What it is about.
    pub about: Topic,
    /// `waiting`, `sent`, `refused`, `given-up`, or `withdrawn`: tried, and then no longer true or needed.
    pub state: String,
    /// When it was written: as the fact it tells was stored, or once a claim had been unconfirmed for too long.
    pub written: Timestamp,
    /// When it is or was due.
    pub due: Timestamp,
    /// When it was sent, refused or given up. A letter that was withdrawn has it only if it was refused before.
    pub settled: Option<Timestamp>,
    /// How often it has been tried.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What became of an attempt to send a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The post office took it.
    Sent,
    /// Not now; try again at this instant.
    Deferred {
        /// When.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// This recipient will never get it.
    Refused {
        /// Why.
        error: String,
    },
    /// It has been tried for long enough.
    GivenUp {
        /// What went wrong last.
        error: String,
    },
    /// It was taken up, and then not tried: it waits as before.
    NotMade,
}

impl Attempt {
    /// The stable code of what became of it, if it was made.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Sent => Some("sent"),
            Self::Deferred { .. } => Some("deferred"),
            Self::Refused { .. } => Some("refused"),
            Self::GivenUp { .. } => Some("given-up"),
            Self::NotMade => None,
        }
    }
}
