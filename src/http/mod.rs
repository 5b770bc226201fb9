//! Floor 2: HTTP without Paynow. A server that refuses politely and drains, a client that is
//! bounded in every direction, and whom to believe about an address. It knows no payments, no
//! SQL and no configuration files; whoever opens a [`serve`] brings the listener and the limits.

mod body;
mod client;
mod crowd;
mod fault;
mod guard;
mod peer;
mod response;
mod retry;
mod server;
mod wire;

pub use body::{BodyError, HeardOut, is_plain, read_body};
pub use client::{Client, ClientError, ClientLimits, Method, Reply, Request};
pub use fault::SendError;
pub use guard::Refusal;
pub use peer::{Cidr, CidrError, client_ip, household};
pub use response::{A_LITTLE_LATER, Response, closing, come_back, empty, exposition, json, text};
pub use retry::retry_after;
pub use server::{Limits, Traffic, serve};
