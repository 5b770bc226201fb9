//! Why a twin did not do it.

use std::io;
use std::net::SocketAddr;

use super::SendError;

/// Why a twin did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Asked to listen where others could reach it.
    #[error("a simulator listens only on this machine (127.0.0.0/8 or [::1]), not on {0}")]
    NotLoopback(SocketAddr),
    /// The address is taken or not there.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// There is no such payment.
    #[error("no such payment")]
    UnknownPayment,
    /// The payment has no address to post to, nor was one given.
    #[error("the payment has no result URL")]
    NoResultUrl,
    /// A post was not sent or not answered.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What was waited for did not come in time.
    #[error("waited for {wanted}, saw {seen} in time")]
    TooFew {
        /// How many were waited for.
        wanted: u32,
        /// How many there were.
        seen: u32,
    },
}
