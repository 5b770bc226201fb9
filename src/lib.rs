//! paynowd: know, for certain, what you have been paid through Paynow.

pub mod config;
pub mod domain;
pub mod http;
pub mod protocol;
