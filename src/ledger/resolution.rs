//! What a person decided about a finding: in the chain of events, so that nobody can say later that it was decided
//! otherwise, by another, or not at all.

use rusqlite::params;
use serde_json::json;

use super::discrepancies::{self, Discrepancy};
use super::events;
use super::rows::millis;
use super::writer::Desk;
use crate::domain::Timestamp;

/// How long a reason may be, in characters.
pub const LONGEST_REASON: usize = 500;

/// How long the name of a person may be, in characters.
pub const LONGEST_ACTOR: usize = 64;

/// A person's decision, as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The finding's number.
    pub discrepancy: i64,
    /// The code of its class.
    pub class: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// The decision in the body of an event.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| Some(body.get(name)?.as_str()?.to_owned());
        Some(Self {
            discrepancy: body.get("discrepancy")?.as_i64()?,
            class: text("class")?,
            actor: text("actor")?,
            reason: text("reason")?,
        })
    }
}

/// That a finding is settled, by whom, and why.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The finding's number.
    pub discrepancy: i64,
    /// Who says so.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a resolution.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The finding is resolved, and the record says by whom.
    Now(Discrepancy),
    /// It was not open any more; nothing changed.
    Before(Discrepancy),
    /// There is none of this number.
    Unknown,
}

/// Closes a finding by a person's word.
pub(super) fn resolve(desk: &mut Desk<'_>, resolution: &Resolution) -> rusqlite::Result<Resolved> {
    let Resolution { discrepancy: id, actor, reason, at } = resolution;
    let Some(found) = discrepancies::find(desk.connection, *id)? else { return Ok(Resolved::Unknown) };
    if !found.is_open() {
        return Ok(Resolved::Before(found));
    }
    // Names in the order of the alphabet and no blanks, as serde_json writes an object: one decision, one text.
    let body = json!({
        "actor": actor,
        "class": found.class.code(),
        "discrepancy": id,
        "integration": found.integration.as_str(),
        "reason": reason,
    });
    let body = body.to_string().into_bytes();
    let about = found.key.as_ref().map(|key| (&found.integration, key));
    let payment = desk
        .connection
        .prepare_cached("SELECT payment_id FROM discrepancy WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    events::append_decision(desk, payment, about, *at, &body)?;
    desk.connection
        .prepare_cached(
            "UPDATE discrepancy SET state = 'resolved', resolved = ?2, resolution = ?3, actor = ?4 WHERE id = ?1",
        )?
        .execute(params![id, millis(*at), reason, actor])?;
    Ok(discrepancies::find(desk.connection, *id)?.map_or(Resolved::Unknown, Resolved::Now))
}
