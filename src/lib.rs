//! paynowd: know, for certain, what you have been paid through Paynow.

pub mod config;
pub mod domain;
pub mod http;
pub mod ledger;
pub mod protocol;
pub mod receiver;
pub mod reconciler;
