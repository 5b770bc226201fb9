//! paynowd: know, for certain, what you have been paid through Paynow.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod http;
pub mod ledger;
pub mod mailer;
pub mod protocol;
pub mod receiver;
pub mod reconciler;
pub mod simulator;
