//! Paynow Zimbabwe: forms whose values are hashed with a key shared by both sides.
//!
//! The hash covers the values in order of arrival, not the names and not the boundaries between them, and carries
//! no nonce. So a valid hash proves that the gateway once wrote these characters, no more; the strict field grammar
//! in [`status_update`] and the poll that follows every claim do the rest.
//!
//! <https://developers.paynow.co.zw/docs/>

mod button;
mod doctor;
pub mod fields;
pub mod hash;
mod mistakes;
mod order;
mod outbound;
pub mod status_update;
mod wire;

pub use button::Button;
pub use fields::{Fields, NotAForm};
pub use hash::{HashError, Rule};
pub use status_update::{StatusUpdate, StatusUpdates};

use crate::protocol::{Dialect, Key};

/// Status updates to the result URL, and polls.
pub const STATUS_UPDATES: Dialect = Dialect {
    origin: "https://www.paynow.co.zw",
    sandbox: None,
    has_id: true,
    key: Key::guid,
    api_key: None,
    gateway: |setup| Box::new(StatusUpdates::new(setup)),
};

/// Custom-button notifications.
pub const BUTTON: Dialect = Dialect { has_id: false, gateway: |setup| Box::new(Button::new(setup)), ..STATUS_UPDATES };
