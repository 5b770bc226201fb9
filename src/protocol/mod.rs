//! Floor 1: bytes ⇄ messages, with proof. Sans-IO: slices and the time go in, values come out.
//!
//! Only this room can make a [`Verified`] value, and the ledger takes nothing else: what is not proven does not
//! compile into a fact.
//!
//! # Adding a gateway
//!
//! 1. One folder beside `zimbabwe` and `poland`, with a type that implements [`Gateway`] and a [`Dialect`] that says
//!    what the configuration must know.
//! 2. Two lines here: `pub mod` for the folder, and its row in the `protocols!` table.
//!
//! Nothing above this room names a gateway. A gateway's own pages stand in its folder, rule by rule.

mod dialect;
pub mod doctor;
mod gateway;
mod integration;
mod keys;
pub mod poland;
mod verified;
pub mod zimbabwe;

pub use dialect::{Dialect, ReadKey, Setup};
pub use gateway::{Answer, Begun, Gateway, Method, Post, Question, Rejection, Traced, Unproven};
pub use integration::{Integration, Integrations};
pub use keys::{Key, Keys, NotAKey};
pub use verified::Verified;

/// Declares [`Protocol`]: for each, its name here, its code in the configuration, and its dialect.
macro_rules! protocols {
    ($($(#[$doc:meta])* $name:ident = $code:literal => $dialect:path),+ $(,)?) => {
        /// The wire protocols an integration can speak.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Protocol {
            $($(#[$doc])* $name),+
        }

        crate::domain::codes!(Protocol { $($name = $code),+ });

        impl Protocol {
            /// Every protocol, for messages that list the choices.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What can be said of the protocol before there is an integration of it.
            pub const fn dialect(self) -> &'static Dialect {
                match self { $(Self::$name => &$dialect),+ }
            }
        }
    };
}

protocols! {
    /// Paynow Zimbabwe, status updates to the result URL.
    Zimbabwe = "paynow-zimbabwe" => zimbabwe::STATUS_UPDATES,
    /// Paynow Zimbabwe, custom-button notifications.
    ZimbabweButton = "paynow-zimbabwe-button" => zimbabwe::BUTTON,
    /// Paynow Poland, notifications of payments.
    Poland = "paynow-poland" => poland::PAYMENTS,
}

impl Protocol {
    /// The reader and asker for one integration of this protocol.
    pub fn gateway(self, setup: Setup) -> Box<dyn Gateway> {
        (self.dialect().gateway)(setup)
    }

    /// Reads the content of a key file for this protocol; blanks around it do not matter.
    ///
    /// # Errors
    /// The content is not a key of this protocol. The error does not repeat it.
    pub fn key(self, text: &str) -> Result<Key, NotAKey> {
        (self.dialect().key)(text)
    }

    /// Where the protocol's gateway lives unless the configuration says otherwise.
    pub const fn default_origin(self) -> &'static str {
        self.dialect().origin
    }
}
