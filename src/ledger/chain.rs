//! The chain: each event's digest covers the one before it, so that no event can be changed, dropped or slipped in
//! without every later digest telling. It does not stop someone who rewrites the whole file from one point on; a
//! digest noted elsewhere, as in a mailed report, does.

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::domain::{
    Amount, Days, GatewayKey, IntegrationName, NoticeKind, Observation, Outcome, Payment, SaidAt, Status, Timestamp,
    Trust,
};

/// A SHA-256 digest.
pub(super) type Link = [u8; 32];

/// What the first event is chained to.
pub(super) const GENESIS: Link = [0; 32];

/// The number and the digest of the newest event, or of the beginning.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<(i64, Link)> {
    let newest = connection
        .prepare_cached("SELECT id, digest FROM event ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(newest.unwrap_or((0, GENESIS)))
}

/// The digest of a message body: the costly part, done before the writer's turn.
pub(super) fn body_digest(body: &[u8]) -> Link {
    Sha256::digest(body).into()
}

/// What one row of the record tells.
pub(super) enum Entry<'a> {
    /// Something was seen of a payment.
    Seen {
        /// What.
        seen: &'a Observation,
        /// What it was found to be.
        outcome: Outcome,
        /// Where the payment stands once it is told.
        after: (Status, Trust),
    },
    /// A person decided something.
    Decided {
        /// About which payment, if it is about one.
        about: Option<(&'a IntegrationName, &'a GatewayKey)>,
        /// When.
        at: Timestamp,
    },
}

/// What stands in the columns of a person's decision where an observation has its channel, evidence and outcome.
pub(super) const DECIDED: [&str; 3] = ["operator", "none", "resolved"];

/// The next link: SHA-256 over the previous one and the entry in canonical form (each field preceded by its length,
/// an absent one by a length no field can have).
pub(super) fn link(previous: &Link, entry: &Entry<'_>, body: &Link) -> Link {
    let (about, at, seen, [channel, evidence, outcome], after) = match entry {
        Entry::Seen { seen, outcome, after } => {
            let codes = [seen.channel.code(), seen.evidence.code(), outcome.code()];
            (Some((&seen.integration, &seen.key)), seen.at, Some(*seen), codes, Some(*after))
        }
        Entry::Decided { about, at } => (*about, *at, None, DECIDED, None),
    };
    let mut sha = Sha256::new();
    let mut field = |value: Option<&[u8]>| {
        let length = value.map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1));
        sha.update(length.to_le_bytes());
        sha.update(value.unwrap_or_default());
    };
    let number = |value: Option<i64>| value.map(i64::to_le_bytes);
    field(Some(previous));
    field(about.map(|(integration, _)| integration.as_str().as_bytes()));
    field(about.map(|(_, key)| key.as_str().as_bytes()));
    field(Some(&at.timestamp_millis().to_le_bytes()));
    field(Some(channel.as_bytes()));
    field(Some(evidence.as_bytes()));
    field(Some(outcome.as_bytes()));
    field(seen.map(|seen| seen.status.code().as_bytes()));
    field(seen.and_then(|seen| Some(seen.wire_status.as_ref()?.as_str().as_bytes())));
    let said_at = seen.and_then(|seen| seen.said_at.as_ref());
    field(said_at.map(|said| said.as_str().as_bytes()));
    let meant = said_at.and_then(SaidAt::meant);
    field(number(meant.map(|(earliest, _)| earliest.timestamp_millis())).as_ref().map(<[u8; 8]>::as_slice));
    field(number(meant.map(|(_, latest)| latest.timestamp_millis())).as_ref().map(<[u8; 8]>::as_slice));
    let facts = seen.map(|seen| &seen.facts);
    field(facts.and_then(|facts| Some(facts.reference.as_ref()?.as_str().as_bytes())));
    field(facts.and_then(|facts| Some(facts.gateway_reference.as_ref()?.as_str().as_bytes())));
    let amount = |amount: Option<Amount>| number(amount.map(Amount::ten_thousandths));
    field(amount(facts.and_then(|facts| facts.amount)).as_ref().map(<[u8; 8]>::as_slice));
    field(amount(facts.and_then(|facts| facts.amount_paid)).as_ref().map(<[u8; 8]>::as_slice));
    field(facts.and_then(|facts| Some(facts.method.as_ref()?.as_str().as_bytes())));
    field(after.map(|(status, _)| status.code().as_bytes()));
    field(after.map(|(_, trust)| trust.code().as_bytes()));
    field(Some(body));
    sha.finalize().into()
}

/// What tells one letter from all others, whatever becomes of its row: 128 bits of a digest over what it is about.
pub(super) fn letter_token(payment: &Payment, kind: NoticeKind, recipient: &str) -> String {
    token(&[payment.integration.as_str(), payment.key.as_str(), &kind.code(), recipient])
}

/// The same for the letter of a run. It begins as no integration is called.
pub(super) fn report_token(run: &str, days: &Days, recipient: &str) -> String {
    token(&["", run, &days.first().to_string(), &days.last().to_string(), recipient])
}

fn token(identity: &[&str]) -> String {
    let digest = Sha256::digest(identity.join("\n"));
    hex::encode(digest.get(..16).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Channel, Evidence, Facts};

    #[test]
    fn the_gateways_clock_is_covered_by_the_digest() {
        let at = Timestamp::UNIX_EPOCH;
        let (integration, key) =
            (IntegrationName::parse("pl").unwrap(), GatewayKey::parse("NOLV-8F9-08K-WGD").unwrap());
        let seen = |clock: &str, zone: chrono_tz::Tz| Observation {
            integration: integration.clone(),
            key: key.clone(),
            at,
            asked: None,
            channel: Channel::Post,
            evidence: Evidence::HmacSha256,
            status: Status::Paid,
            wire_status: None,
            said_at: Some(SaidAt::on_a_clock(clock, clock.parse().unwrap(), &zone)),
            facts: Facts::default(),
            poll_url: None,
            body: Vec::new(),
        };
        let after = (Status::Paid, Trust::Reported);
        let digest =
            |seen: &Observation| link(&GENESIS, &Entry::Seen { seen, outcome: Outcome::Opened, after }, &GENESIS);
        let written = digest(&seen("2018-12-12T13:24:52", chrono_tz::Europe::Warsaw));
        assert_ne!(written, digest(&seen("2018-12-12T13:24:53", chrono_tz::Europe::Warsaw)));
        assert_ne!(written, digest(&seen("2018-12-12T13:24:52", chrono_tz::UTC)));
    }
}
