//! What the twin is told before it starts.

use std::net::{Ipv4Addr, SocketAddr};

use crate::protocol::Key;

/// One shop, and where and how fast the twin serves it.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where to listen: a loopback address; port 0 picks one.
    pub listen: SocketAddr,
    /// The shop's Api-Key, which names it.
    pub api_key: String,
    /// The shop's Signature-Key, which signs notifications and questions.
    pub signature_key: Key,
    /// Where notifications go for payments that do not say; Paynow Poland knows only one address a shop.
    pub notification_url: Option<String>,
    /// By how much the gateway's own waits are divided: 1 is real time.
    pub time_factor: u32,
}

impl SimulatorSettings {
    /// A shop on any free port of 127.0.0.1, in real time.
    pub fn new(api_key: &str, signature_key: Key) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: api_key.to_owned(),
            signature_key,
            notification_url: None,
            time_factor: 1,
        }
    }
}
