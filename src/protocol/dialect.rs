//! What a gateway says of itself once for all its integrations, so that the configuration asks for the right things
//! without knowing whom it asks for.

use super::{Gateway, Key, Keys, NotAKey};
use crate::domain::{IntegrationName, Origin};

/// Reads the content of a key file; blanks around it do not matter. The error never repeats the content.
pub type ReadKey = fn(&str) -> Result<Key, NotAKey>;

/// One wire protocol, before there is an integration of it.
#[derive(Debug)]
pub struct Dialect {
    /// Where its gateway lives unless the configuration says otherwise.
    pub origin: &'static str,
    /// Where its gateway can be tried without real money, if that is a place of its own.
    pub sandbox: Option<&'static str>,
    /// Whether the gateway numbers its integrations, so that a configuration without `id` lacks something.
    pub has_id: bool,
    /// Reads a key that proves messages.
    pub key: ReadKey,
    /// Reads the key that names us when we ask, where the gateway wants one beside the proof.
    pub api_key: Option<ReadKey>,
    /// The reader and asker for one integration.
    pub gateway: fn(Setup) -> Box<dyn Gateway>,
}

/// What one integration's messages need to be read: from the configuration, checked.
#[derive(Debug)]
pub struct Setup {
    /// The integration, as observations will name it.
    pub integration: IntegrationName,
    /// The gateway's number for it, where it has one.
    pub id: Option<String>,
    /// The keys that prove its messages: the first signs, all are accepted.
    pub keys: Keys,
    /// The key that names us when we ask, where the dialect has one.
    pub api_key: Option<Key>,
    /// Where its gateway lives.
    pub origin: Origin,
    /// How many fields a message may have.
    pub max_fields: usize,
}
