//! Rows ⇄ domain values. A row that cannot be read back is reported with its column, never guessed at.

use chrono::DateTime;
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Row, ToSql};

use super::chain::{self, Entry, Link};
use crate::domain::{
    Amount, Channel, Class, Currency, Evidence, Facts, GatewayKey, GatewayReference, IntegrationName, Known,
    MerchantTrace, Method, Mode, Observation, Outcome, Pace, Payment, PollPlan, PollUrl, Posted, Reference, Refusal,
    SaidAt, Status, Timestamp, Trust, WireStatus, names,
};

/// The columns that [`payment`] reads, in its order.
pub(super) const PAYMENT: &str = "payment.id, integration.name, gateway_key, payment.reference, payment.gateway_reference, \
     payment.amount, payment.amount_paid, payment.method, payment.currency, payment.mode, payment.status, \
     payment.wire_status, payment.trust, payment.poll_url, posted, paid_at, first_seen, last_changed";

/// How many columns [`PAYMENT`] has.
pub(super) const PAYMENT_COLUMNS: usize = 18;

/// The further columns that [`known`] reads, following [`PAYMENT`].
pub(super) const KNOWN: &str = "poll_due, poll_pace, poll_attempt, poll_since, poll_asked, unconfirmed_due, \
     CASE payment.trust WHEN 'confirmed' THEN payment.status ELSE proven END";

/// How many columns [`KNOWN`] has.
pub(super) const KNOWN_COLUMNS: usize = 7;

/// Where the columns of [`KNOWN`] begin after those of [`PAYMENT`].
const PLAN_AT: usize = PAYMENT_COLUMNS;

/// The columns that [`event`] reads, in its order.
pub(super) const EVENT: &str = "event.id, integration.name, gateway_key, at, channel, evidence, outcome, said, \
     event.wire_status, said_at, said_earliest, said_latest, event.reference, event.gateway_reference, event.amount, \
     event.amount_paid, event.method, event.status, event.trust, digest, body";

/// How many columns [`EVENT`] has.
pub(super) const EVENT_COLUMNS: usize = 21;

/// An event as it was written: what was seen, what it was found to be, and where the payment stood afterwards.
pub(super) struct Event {
    pub(super) seen: Observation,
    pub(super) outcome: Outcome,
    pub(super) after: (Status, Trust),
    pub(super) digest: Link,
}

/// A person's decision as it was written.
pub(super) struct Decided {
    about: Option<(IntegrationName, GatewayKey)>,
    at: Timestamp,
    body: Vec<u8>,
    digest: Link,
}

/// A row of the record.
pub(super) enum Told {
    Seen(Event),
    Decided(Decided),
}

impl Told {
    /// The digest it was given.
    pub(super) const fn digest(&self) -> Link {
        match self {
            Self::Seen(event) => event.digest,
            Self::Decided(decided) => decided.digest,
        }
    }

    /// The digest it should have behind `previous`.
    pub(super) fn link(&self, previous: &Link) -> Link {
        let (entry, body) = match self {
            Self::Seen(Event { seen, outcome, after, .. }) => {
                (Entry::Seen { seen, outcome: *outcome, after: *after }, &seen.body)
            }
            Self::Decided(Decided { about, at, body, .. }) => {
                (Entry::Decided { about: about.as_ref().map(|(name, key)| (name, key)), at: *at }, body)
            }
        };
        chain::link(previous, &entry, &chain::body_digest(body))
    }
}

/// A stored gateway key: 16 bytes if it is a GUID, else text.
pub(super) enum StoredKey<'a> {
    Guid([u8; 16]),
    Text(&'a str),
}

impl<'a> StoredKey<'a> {
    /// The key that a person writes like this, in whatever letter case a GUID may be.
    pub(super) fn called(name: &'a str) -> Self {
        names::guid_bytes(name).map_or(Self::Text(name), Self::Guid)
    }

    /// A column that has one.
    pub(super) fn read(row: &'a Row<'_>, at: usize) -> rusqlite::Result<Self> {
        match row.get_ref(at)? {
            ValueRef::Blob(guid) => guid.try_into().ok().map(Self::Guid),
            ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Self::Text),
            _ => None,
        }
        .ok_or_else(|| unreadable(at, Type::Blob))
    }
}

impl StoredKey<'_> {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Guid(guid) => guid,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl<'a> From<&'a GatewayKey> for StoredKey<'a> {
    fn from(key: &'a GatewayKey) -> Self {
        key.guid().map_or_else(|| Self::Text(key.as_str()), Self::Guid)
    }
}

impl ToSql for StoredKey<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Guid(guid) => ValueRef::Blob(guid),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Names are stored as their text, codes as their word, amounts as ten-thousandths.
macro_rules! stored {
    ($($type:ty => $text:ident),+ $(,)?) => {
        $(impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.$text().into())
            }
        })+
    };
}

stored! {
    Reference => as_str,
    GatewayReference => as_str,
    WireStatus => as_str,
    Method => as_str,
    MerchantTrace => as_str,
    Posted => code,
    PollUrl => as_str,
    Currency => code,
    Mode => code,
    Status => code,
    Trust => code,
    Pace => code,
    Channel => code,
    Evidence => code,
    Outcome => code,
    Class => code,
    Refusal => code,
}

impl ToSql for Amount {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.ten_thousandths().into())
    }
}

/// Instants are stored as milliseconds.
pub(super) const fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

/// The payment of a row of [`PAYMENT`], with its row number.
pub(super) fn payment(row: &Row<'_>) -> rusqlite::Result<(i64, Payment)> {
    let payment = Payment {
        integration: text(row, 1, |text| IntegrationName::parse(text).ok())?,
        key: gateway_key(row, 2)?,
        facts: Facts {
            reference: maybe(row, 3, |text| Reference::parse(text).ok())?,
            gateway_reference: maybe(row, 4, |text| GatewayReference::parse(text).ok())?,
            amount: amount(row, 5)?,
            amount_paid: amount(row, 6)?,
            method: maybe(row, 7, |text| Method::parse(text).ok())?,
        },
        currency: text(row, 8, |text| text.parse().ok())?,
        mode: text(row, 9, Mode::from_code)?,
        status: text(row, 10, Status::from_code)?,
        wire_status: maybe(row, 11, |text| WireStatus::parse(text).ok())?,
        trust: text(row, 12, Trust::from_code)?,
        poll_url: maybe(row, 13, PollUrl::stored)?,
        posted: text(row, 14, Posted::from_code)?,
        paid_at: maybe_instant(row, 15)?,
        first_seen: instant(row, 16)?,
        last_changed: instant(row, 17)?,
    };
    Ok((row.get(0)?, payment))
}

/// What is known of the payment of a row of [`PAYMENT`] and [`KNOWN`].
pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<(i64, Known)> {
    let (id, payment) = payment(row)?;
    let plan = PollPlan {
        due: maybe_instant(row, PLAN_AT)?,
        pace: text(row, PLAN_AT + 1, Pace::from_code)?,
        attempt: row.get(PLAN_AT + 2)?,
        since: instant(row, PLAN_AT + 3)?,
        asked: maybe_instant(row, PLAN_AT + 4)?,
    };
    let unconfirmed_at = maybe_instant(row, PLAN_AT + 5)?;
    let proven = maybe(row, PLAN_AT + 6, Status::from_code)?;
    Ok((id, Known { payment, proven, plan, unconfirmed_at }))
}

/// The event of a row of [`EVENT`]. Its poll URL is not a column; it is in the body.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let meant = maybe_instant(row, 10)?.zip(maybe_instant(row, 11)?);
    let seen = Observation {
        integration: text(row, 1, |text| IntegrationName::parse(text).ok())?,
        key: gateway_key(row, 2)?,
        at: instant(row, 3)?,
        asked: None,
        channel: text(row, 4, Channel::from_code)?,
        evidence: text(row, 5, Evidence::from_code)?,
        status: text(row, 7, Status::from_code)?,
        wire_status: maybe(row, 8, |text| WireStatus::parse(text).ok())?,
        said_at: maybe(row, 9, |text| Some(SaidAt::stored(text, meant)))?,
        facts: Facts {
            reference: maybe(row, 12, |text| Reference::parse(text).ok())?,
            gateway_reference: maybe(row, 13, |text| GatewayReference::parse(text).ok())?,
            amount: amount(row, 14)?,
            amount_paid: amount(row, 15)?,
            method: maybe(row, 16, |text| Method::parse(text).ok())?,
        },
        poll_url: None,
        body: row.get(20)?,
    };
    Ok(Event {
        seen,
        outcome: text(row, 6, Outcome::from_code)?,
        after: (text(row, 17, Status::from_code)?, text(row, 18, Trust::from_code)?),
        digest: row.get(19)?,
    })
}

/// Whether a row of [`EVENT`] is a person's decision.
pub(super) fn is_decision(row: &Row<'_>) -> bool {
    row.get_ref(4).is_ok_and(|channel| channel.as_str() == Ok(chain::DECIDED[0]))
}

/// What a row of [`EVENT`] tells: something seen, or a person's decision.
pub(super) fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    if !is_decision(row) {
        return event(row).map(Told::Seen);
    }
    for (at, word) in (4..).zip(chain::DECIDED) {
        text(row, at, |text| (text == word).then_some(()))?;
    }
    // Nothing is said of a payment's state; what stands there all the same was not written by us.
    if let Some(at) = (7..19).find(|at| !matches!(row.get_ref(*at), Ok(ValueRef::Null))) {
        return Err(unreadable(at, Type::Null));
    }
    let about = match row.get_ref(1)? {
        ValueRef::Null => None,
        _ => Some((text(row, 1, |text| IntegrationName::parse(text).ok())?, gateway_key(row, 2)?)),
    };
    Ok(Told::Decided(Decided { about, at: instant(row, 3)?, body: row.get(20)?, digest: row.get(19)? }))
}

/// A text column, read by `parse`.
pub(super) fn text<T>(row: &Row<'_>, at: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(at)?.as_str()?;
    parse(text).ok_or_else(|| unreadable(at, Type::Text))
}

/// A text column that may be absent.
pub(super) fn maybe<T>(row: &Row<'_>, at: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => text(row, at, parse).map(Some),
    }
}

/// An instant.
pub(super) fn instant(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    DateTime::from_timestamp_millis(row.get(at)?).ok_or_else(|| unreadable(at, Type::Integer))
}

/// An instant that may be absent.
pub(super) fn maybe_instant(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => instant(row, at).map(Some),
    }
}

/// An amount that may be absent.
pub(super) fn amount(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Amount>> {
    let units: Option<i64> = row.get(at)?;
    units.map(|units| Amount::from_ten_thousandths(units).ok_or_else(|| unreadable(at, Type::Integer))).transpose()
}

pub(super) fn gateway_key(row: &Row<'_>, at: usize) -> rusqlite::Result<GatewayKey> {
    match StoredKey::read(row, at)? {
        StoredKey::Guid(guid) => Some(GatewayKey::from_guid(guid)),
        StoredKey::Text(text) => GatewayKey::parse(text).ok(),
    }
    .ok_or_else(|| unreadable(at, Type::Blob))
}

fn unreadable(at: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, kind, "not a value this release writes".into())
}
