//! paynowd: know, for certain, what you have been paid through Paynow.

pub mod domain;
pub mod http;
pub mod mailer;
pub mod protocol;
