//! Floor 0: the words of the trade and the decisions made with them.
//!
//! Nothing here reads a clock, a file, a socket or a database, and nothing knows how it is stored or
//! spelled on a wire. Everything above imports from here; this room imports from nobody.

pub mod amount;
pub mod compare;
pub mod days;
pub mod decision;
pub mod diff;
pub mod discrepancy;
mod duplicate;
mod excerpt;
pub mod expectation;
mod fold;
mod known;
pub mod names;
pub mod notice;
pub mod observation;
pub mod payment;
mod phone;
pub mod poll_url;
mod refusal;
pub mod report;
pub mod said_at;
pub mod schedule;
pub mod settlement;
pub mod status;
pub mod tally;
pub mod terms;

pub use amount::{Amount, Currency};
pub use compare::{Matter, Rules, Standing, compare};
pub use days::Days;
pub use decision::{Decision, Outcome};
pub use diff::{Diff, Held, diff};
pub use discrepancy::{AS_THE_GATEWAY_WRITES, Class, Finding, Severity};
pub(crate) use excerpt::excerpt;
pub use expectation::Expectation;
pub use known::Known;
pub use names::{
    GatewayKey, GatewayReference, IntegrationName, MerchantTrace, Method, Reference, WireStatus, is_hidden,
};
pub use notice::{Condition, Notice, NoticeKind};
pub(crate) use observation::codes;
pub use observation::{Channel, Evidence, Facts, Observation, Trust};
pub use payment::{Payment, Posted};
pub use phone::{masked, without_phones};
pub use poll_url::{Origin, PollUrl};
pub use refusal::Refusal;
pub use report::{Checked, Report};
pub use said_at::SaidAt;
pub use schedule::{InVain, Pace, PollPlan, PollSchedule, Step};
pub use settlement::Settlement;
pub use status::{Seen, Status};
pub use tally::{Sum, Tally, Totals};
pub use terms::{Announce, Mode, Terms};

/// An instant. Always UTC; civil time appears only where people read it.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
