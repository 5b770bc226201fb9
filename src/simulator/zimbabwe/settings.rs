//! What the twin is told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::protocol::Key;

/// One merchant, and where and how fast the twin serves them.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where to listen: a loopback address; port 0 picks one.
    pub listen: SocketAddr,
    /// The merchant's integration id.
    pub id: String,
    /// The integration key, which signs everything but button notifications.
    pub key: Key,
    /// The key of the button template.
    pub button_key: Key,
    /// Where status updates go for payments that do not say.
    pub result_url: Option<String>,
    /// By how much the gateway's own waits are divided: 1 is real time.
    pub time_factor: u32,
    /// After how long a payment becomes Paid by itself, if at all (divided by the time factor).
    pub auto_pay: Option<Duration>,
    /// Whether status updates carry the fields of merchants who have more enabled.
    pub extras: bool,
}

impl SimulatorSettings {
    /// A merchant on any free port of 127.0.0.1, in real time, whose button template shares the key.
    pub fn new(id: &str, key: Key) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            id: id.to_owned(),
            button_key: key.clone(),
            key,
            result_url: None,
            time_factor: 1,
            auto_pay: None,
            extras: false,
        }
    }
}
