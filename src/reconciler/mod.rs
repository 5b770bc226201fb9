//! Floor 3: we call them. Due polls, confirmation, and the nightly run.
//!
//! Everything here looks at the ledger and does what is due: woken by a bell after a commit, by the heartbeat, and
//! by nothing else. The path after a crash is the everyday path.

mod asking;
mod clock;
mod heartbeat;
mod nightly;
mod poller;
mod run;
mod set_back;
mod survey;
mod sweep;
mod trouble;

pub use clock::Clock;
pub use heartbeat::{Heartbeat, HeartbeatError};
pub use nightly::{Nightly, NightlySettings, due};
pub use poller::{Poller, PollerSettings};
pub use run::{Compared, NIGHTLY, Ran, RunError, RunSettings, Wanted, compare, reconcile};
pub use set_back::ClockWatch;
pub use sweep::{SweepSettings, sweep};
