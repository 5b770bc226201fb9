//! Refused posts, verbatim: never believed, never lost, never more than the merchant has room for.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::params;

use super::rows::millis;
use super::writer::Desk;
use super::{discrepancies, polls};
use crate::domain::{Class, Finding, GatewayKey, IntegrationName, Terms, Timestamp};

/// A post that was not taken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The integration it was posted to.
    pub integration: IntegrationName,
    /// When.
    pub at: Timestamp,
    /// By whom, as far as that is known.
    pub peer: Option<IpAddr>,
    /// The stable code of why: `malformed`, `forged` or `suspect`.
    pub kind: &'static str,
    /// The same for people, naming fields but no values.
    pub reason: String,
    /// The header that was to prove it, where the protocol keeps one.
    pub signature: Option<String>,
    /// The payment it speaks of, where its proof holds and that much is certain.
    pub key: Option<GatewayKey>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// How much may wait in quarantine; the oldest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// How many posts.
    pub posts: u32,
    /// How many bytes of bodies.
    pub bytes: u64,
    /// For how long.
    pub age: Duration,
}

impl Default for QuarantineLimits {
    fn default() -> Self {
        Self { posts: 10_000, bytes: 64 * 1024 * 1024, age: Duration::from_hours(90 * 24) }
    }
}

/// Keeps a refused post. If its proof held, that is a finding, and the payment it speaks of is asked about.
pub(super) fn refuse(desk: &mut Desk<'_>, refused: &Refused, terms: &Terms) -> rusqlite::Result<()> {
    let integration = desk.integration(&refused.integration)?;
    if refused.kind == "suspect" {
        let payment = match &refused.key {
            Some(key) => polls::ask_soon(desk, integration, key, terms, refused.at)?,
            None => None,
        };
        let finding = Finding {
            class: Class::ContradictingPost,
            expected: "fields as the gateway writes them".into(),
            found: refused.reason.clone(),
        };
        discrepancies::open(desk, integration, payment, &[finding], refused.at)?;
    }
    keep(
        desk,
        integration,
        refused.at,
        refused.peer,
        refused.kind,
        &refused.reason,
        refused.signature.as_deref(),
        &refused.body,
    )
}

/// Stores a post in quarantine and drops the oldest beyond the limits.
#[expect(clippy::too_many_arguments, reason = "one per column")]
pub(super) fn keep(
    desk: &mut Desk<'_>,
    integration: i64,
    at: Timestamp,
    peer: Option<IpAddr>,
    kind: &str,
    reason: &str,
    signature: Option<&str>,
    body: &[u8],
) -> rusqlite::Result<()> {
    desk.connection
        .prepare_cached(
            "INSERT INTO quarantine (at, integration_id, peer, kind, reason, signature, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![millis(at), integration, peer.map(|peer| peer.to_string()), kind, reason, signature, body])?;
    let limits = desk.quarantine_limits();
    let (mut posts, mut bytes) = match desk.quarantined() {
        Some((posts, bytes)) => (posts + 1, bytes + body.len() as u64),
        None => desk
            .connection
            .prepare_cached("SELECT count(*), coalesce(sum(length(body)), 0) FROM quarantine")?
            .query_row([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?,
    };
    let too_old = millis(at - limits.age);
    loop {
        let (oldest, since, size): (i64, i64, i64) = desk
            .connection
            .prepare_cached("SELECT id, at, length(body) FROM quarantine ORDER BY id LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if posts <= 1 || (posts <= limits.posts && bytes <= limits.bytes && since >= too_old) {
            break;
        }
        desk.connection.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?.execute([oldest])?;
        posts = posts.saturating_sub(1);
        bytes = bytes.saturating_sub(size.unsigned_abs());
    }
    desk.remember_quarantined(posts, bytes);
    Ok(())
}
