//! How what a twin sends is signed, or is not.

use crate::protocol::Key;

/// How a message is signed.
#[derive(Clone, Debug)]
pub enum Signature {
    /// As the gateway does.
    Genuine,
    /// With a key that is nobody's.
    Wrong,
    /// With this key.
    With(Key),
    /// With this text in place of a proof.
    Text(String),
    /// Not at all.
    Missing,
}
