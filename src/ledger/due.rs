//! What gateways are due to be asked: about payments, and about orders whose payment nobody knows yet.

use rusqlite::Connection;

use super::{DuePoll, DueTrace, Subject, polls, traces};
use crate::domain::{IntegrationName, Timestamp};

/// What a gateway is due to be asked.
#[derive(Clone, Debug)]
pub enum Due {
    /// Where a payment stands.
    Poll(DuePoll),
    /// Whether there is a payment for an order.
    Trace(DueTrace),
}

impl Due {
    /// Since when.
    pub const fn since(&self) -> Timestamp {
        match self {
            Self::Poll(poll) => poll.due,
            Self::Trace(trace) => trace.due,
        }
    }

    /// About what.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Poll(poll) => Subject::Payment(poll.id),
            Self::Trace(trace) => Subject::Order(trace.id),
        }
    }

    /// Whose gateway.
    pub const fn integration(&self) -> &IntegrationName {
        match self {
            Self::Poll(poll) => &poll.payment.integration,
            Self::Trace(trace) => &trace.integration,
        }
    }
}

/// What is due at `now`, the longest due first, and when the next thing after that is.
pub(super) fn questions(
    connection: &Connection,
    integrations: &[String],
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<(Vec<Due>, Option<Timestamp>)> {
    let polls = polls::due(connection, integrations, now, limit)?.into_iter().map(Due::Poll);
    let traces = traces::due(connection, integrations, now, limit)?.into_iter().map(Due::Trace);
    let mut due: Vec<Due> = polls.chain(traces).collect();
    due.sort_by_key(Due::since);
    let next = [polls::next_due(connection, now)?, traces::next_due(connection, now)?];
    Ok((due, next.into_iter().flatten().min()))
}
