//! Floor 1: bytes ⇄ messages, with proof. Sans-IO: slices and the time go in, values come out.
//!
//! Only this room can make a [`Verified`] value, and the ledger takes nothing else: what is not proven does not
//! compile into a fact.
//!
//! # Adding a gateway
//!
//! 1. One folder beside `zimbabwe`, with a type that implements [`Gateway`].
//! 2. Two lines here: its variant of [`Protocol`] in the `protocols!` table, and its arm in [`Protocol::gateway`].
//!
//! Nothing above this room names a gateway.

mod gateway;
mod integration;
mod keys;
mod verified;
pub mod zimbabwe;

pub use gateway::{Answer, Gateway, Method, Post, Question, Rejection, Unproven};
pub use integration::{Integration, Integrations};
pub use keys::{Key, Keys, NotAKey};
pub use verified::Verified;

use crate::domain::{IntegrationName, Origin};

/// What one integration's messages need to be read: from the configuration, checked.
#[derive(Debug)]
pub struct Setup {
    /// The integration, as observations will name it.
    pub integration: IntegrationName,
    /// The keys that prove its messages: the first signs, all are accepted.
    pub keys: Keys,
    /// Where its gateway lives.
    pub origin: Origin,
    /// How many fields a form may have.
    pub max_fields: usize,
}

/// The wire protocols an integration can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Paynow Zimbabwe, status updates to the result URL.
    Zimbabwe,
    /// Paynow Zimbabwe, custom-button notifications.
    ZimbabweButton,
}

crate::domain::codes!(Protocol { Zimbabwe = "paynow-zimbabwe", ZimbabweButton = "paynow-zimbabwe-button" });

impl Protocol {
    /// Every protocol, for messages that list the choices.
    pub const ALL: [Self; 2] = [Self::Zimbabwe, Self::ZimbabweButton];

    /// The reader and asker for one integration of this protocol.
    pub fn gateway(self, setup: Setup) -> Box<dyn Gateway> {
        match self {
            Self::Zimbabwe => Box::new(zimbabwe::StatusUpdates::new(setup)),
            Self::ZimbabweButton => Box::new(zimbabwe::Button::new(setup)),
        }
    }

    /// Reads the content of a key file for this protocol; blanks around it do not matter.
    ///
    /// # Errors
    /// The content is not a key of this protocol. The error does not repeat it.
    pub fn key(self, text: &str) -> Result<Key, NotAKey> {
        match self {
            Self::Zimbabwe | Self::ZimbabweButton => Key::guid(text),
        }
    }

    /// Where the protocol's gateway lives unless the configuration says otherwise.
    pub const fn default_origin(self) -> &'static str {
        match self {
            Self::Zimbabwe | Self::ZimbabweButton => "https://www.paynow.co.zw",
        }
    }
}
