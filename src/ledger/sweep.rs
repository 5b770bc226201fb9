//! What a run goes through, slice by slice: which payments and orders to ask about, and what asking brought. Slices are
//! small, so that a claim which comes meanwhile never waits behind thousands, and no write is large.

use rusqlite::{Connection, params};

use super::rows::millis;
use super::states;
use super::writer::Desk;
use crate::domain::{IntegrationName, Outcome, Timestamp};

/// One integration's part of a run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Whose payments and orders.
    pub integration: IntegrationName,
    /// When the run began: what was asked since then need not be asked again.
    pub began: Timestamp,
    /// What became final since then is asked about once more, though nothing is expected of it.
    pub final_since: Timestamp,
    /// What has not changed since then is not asked about any more, though it never became final.
    pub open_since: Timestamp,
}

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The beginning.
    #[default]
    Start,
    /// Among what can still change, behind this payment.
    Open(i64),
    /// Among what is final, behind what changed last at this instant, in milliseconds, and has this number.
    Final(i64, i64),
    /// Among the orders that are looked for by trace, behind this one.
    Orders(i64),
}

/// What a gateway is asked about, by its number in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A payment.
    Payment(i64),
    /// An expected order, by its trace.
    Order(i64),
}

/// Some of what a sweep goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What to ask about; may be empty.
    pub subjects: Vec<Subject>,
    /// Where the next slice begins; `None` behind the last.
    pub next: Option<Place>,
}

/// What asking about a subject brought: proof, or the code of what went wrong.
pub type Brought = Result<(), String>;

/// The slice that begins at `place`, of at most `most` subjects.
pub(super) fn slice(connection: &Connection, sweep: &Sweep, place: Place, most: usize) -> rusqlite::Result<Slice> {
    let (name, most) = (sweep.integration.as_str(), i64::try_from(most.max(1)).unwrap_or(i64::MAX));
    let (found, following): (Vec<Place>, Option<Place>) = match place {
        Place::Start | Place::Open(_) => {
            let after = if let Place::Open(after) = place { after } else { 0 };
            let found = connection
                .prepare_cached(&open_statement())?
                .query_map(params![name, after, most, millis(sweep.open_since)], |row| Ok(Place::Open(row.get(0)?)))?
                .collect::<rusqlite::Result<_>>()?;
            (found, Some(Place::Final(millis(sweep.final_since), 0)))
        }
        Place::Final(changed, after) => {
            let found = connection
                .prepare_cached(&final_statement())?
                .query_map(params![name, changed, after, millis(sweep.began), most], |row| {
                    Ok(Place::Final(row.get(1)?, row.get(0)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            (found, Some(Place::Orders(0)))
        }
        Place::Orders(after) => {
            let found = connection
                .prepare_cached(ORDERS)?
                .query_map(params![name, after, most, millis(sweep.open_since)], |row| Ok(Place::Orders(row.get(0)?)))?
                .collect::<rusqlite::Result<_>>()?;
            (found, None)
        }
    };
    let full = i64::try_from(found.len()).is_ok_and(|count| count >= most);
    let next = if full { found.last().copied() } else { following };
    Ok(Slice { subjects: found.into_iter().filter_map(Place::subject).collect(), next })
}

impl Place {
    const fn subject(self) -> Option<Subject> {
        match self {
            Self::Start => None,
            Self::Open(payment) | Self::Final(_, payment) => Some(Subject::Payment(payment)),
            Self::Orders(order) => Some(Subject::Order(order)),
        }
    }
}

/// Of one integration, by number. What is open of the others is passed by: little is, in any ledger.
pub(super) fn open_statement() -> String {
    let open = states::all().filter(|state| states::is_open(*state));
    let payments = states::select("payment.id", open, "payment.id > ?2 AND name = ?1 AND last_changed >= ?4");
    format!("{payments} ORDER BY 1 LIMIT ?3")
}

/// Of one integration, by when it changed: what changed since the run began has just been asked about.
pub(super) fn final_statement() -> String {
    format!(
        "SELECT id, last_changed FROM payment INDEXED BY payment_by_change WHERE {} \
         AND integration_id = (SELECT id FROM integration WHERE name = ?1) AND (last_changed, id) > (?2, ?3) \
         AND last_changed < ?4 ORDER BY last_changed, id LIMIT ?5",
        states::among(states::all().filter(|state| !states::is_open(*state)))
    )
}

/// Orders of one integration, by number, that have a trace and no payment.
pub(super) const ORDERS: &str = "SELECT id FROM expectation INDEXED BY expectation_unfound WHERE trace IS NOT NULL \
     AND payment_id IS NULL AND integration_id = (SELECT id FROM integration WHERE name = ?1) AND id > ?2 \
     AND trace_since >= ?4 ORDER BY id LIMIT ?3";

/// Makes `subjects` due now, but for those that are due sooner or have been asked about since `began`. What was asked
/// by a clock that was ahead of `now` says nothing.
pub(super) fn ask(desk: &mut Desk<'_>, subjects: &[Subject], began: Timestamp, now: Timestamp) -> rusqlite::Result<()> {
    for subject in subjects {
        match subject {
            Subject::Payment(payment) => desk
                .connection
                .prepare_cached(
                    "UPDATE payment SET poll_due = ?2 WHERE id = ?1 AND (poll_due IS NULL OR poll_due > ?2) \
                     AND (poll_asked IS NULL OR poll_asked < ?3 OR poll_asked > ?2)",
                )?
                .execute(params![payment, millis(now), millis(began)])?,
            Subject::Order(order) => desk
                .connection
                .prepare_cached(
                    "UPDATE expectation SET trace_due = ?2 WHERE id = ?1 AND payment_id IS NULL \
                     AND (trace_due IS NULL OR trace_due > ?2) \
                     AND (traced IS NULL OR traced < ?3 OR traced > ?2)",
                )?
                .execute(params![order, millis(now), millis(began)])?,
        };
    }
    desk.wake_poller();
    Ok(())
}

/// What asking about `subjects` brought, of those that have been asked about from `began` to `now`.
pub(super) fn brought(
    connection: &Connection,
    subjects: &[Subject],
    (began, now): (Timestamp, Timestamp),
) -> rusqlite::Result<Vec<(Subject, Brought)>> {
    let (began, now) = (millis(began), millis(now));
    let mut polled = connection.prepare_cached(
        "SELECT outcome FROM poll_log WHERE payment_id = ?1 AND last_at BETWEEN ?2 AND ?3 ORDER BY last_at DESC LIMIT 1",
    )?;
    // A payment may come by itself before anybody has asked for it.
    let mut traced = connection.prepare_cached(
        "SELECT iif(payment_id IS NULL, trace_answer, 'found') FROM expectation WHERE id = ?1 \
         AND (payment_id IS NOT NULL OR traced BETWEEN ?2 AND ?3)",
    )?;
    let mut all = Vec::new();
    for subject in subjects {
        let (mut found, proves): (_, fn(&str) -> bool) = match subject {
            Subject::Payment(payment) => {
                (polled.query(params![payment, began, now])?, |code| Outcome::from_code(code).is_some())
            }
            Subject::Order(order) => (traced.query(params![order, began, now])?, |code| code == "found"),
        };
        if let Some(row) = found.next()? {
            let code: String = row.get(0)?;
            all.push((*subject, if proves(&code) { Ok(()) } else { Err(code) }));
        }
    }
    Ok(all)
}
