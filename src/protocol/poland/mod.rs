//! Paynow Poland: JSON, proven by a signature in a header, about payments that carry no amount.
//!
//! The signature covers the whole body, so nothing can be re-cut; it covers neither the address nor the time, so any
//! message can come again, and an older status regularly comes after a newer one. What we ask is answered over TLS
//! and unsigned: the certificate is the evidence, and it says so.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

mod account;
mod doctor;
pub mod json;
pub mod notification;
pub mod reply;
pub mod request;
mod rewritten;
pub mod signature;
pub mod status;

pub use account::Account;
pub use notification::Notification;
pub use reply::StatusReply;

use crate::protocol::{Dialect, Key};

/// Notifications of payments, and questions about their status.
///
/// <https://docs.paynow.pl/docs/v3/integration>: the sandbox is at `https://api.sandbox.paynow.pl`.
pub const PAYMENTS: Dialect = Dialect {
    origin: "https://api.paynow.pl",
    sandbox: Some("https://api.sandbox.paynow.pl"),
    has_id: false,
    key: Key::word,
    api_key: Some(Key::word),
    gateway: |setup| Box::new(Account::new(setup)),
};
