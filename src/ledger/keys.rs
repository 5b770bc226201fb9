//! Which payment has which gateway key.
//!
//! A GUID has no neighbours: in one index of them all, each new payment would change a page of its own, and those pages
//! would be half of what a commit writes. So keys settle in steps. Those of the newest payments are held in memory; were
//! the process to end, they still stand in the last rows of the payment table. From there they move, in the order of the
//! index, into its shallow layer, and from that into the deep one: a few at a time and neighbours together, so that they
//! share pages and no commit waits for many.
//!
//! The index has room for six bytes of a digest of integration and key, the key's place. Two may share one, so who finds
//! a payment there compares its key. Most places are empty, which need not be looked up once it is known (`sieve.rs`).
//!
//! No key is ever changed and no payment taken away. That none has the key of another is kept by whoever adds one: it has
//! looked in the same transaction, and nobody else writes meanwhile.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::rows::StoredKey;
use super::sieve::{Look, PLACE, Sieve};
use super::statements::Statements;
use super::verify::{Check, Verification, unreadable};

/// How deep the layers are, and how keys move between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depths {
    /// How many keys are in memory before they begin to move: enough that some of them are neighbours in the shallow
    /// layer, few enough to be read again whenever the ledger is opened.
    pub(super) memory: usize,
    /// How many are in the shallow layer before they move on: midway, as a ratio, between memory and a deep layer of
    /// two million.
    pub(super) shallow: i64,
    /// How many move at a time: a millisecond's work.
    pub(super) step: u32,
}

const DEPTHS: Depths = Depths { memory: 8192, shallow: 131_072, step: 256 };

/// A payment's key as the index has it: its place, and the number of the payment, in this order.
type Entry = (i64, i64);

/// Before all others.
const START: Entry = (-1, 0);

/// Behind all others.
const END: Entry = (i64::MAX, 0);

/// Where the index has the key of a payment of this integration.
pub(super) fn place(integration: i64, key: &StoredKey<'_>) -> i64 {
    let digest = Sha256::new().chain_update(integration.to_be_bytes()).chain_update(key.as_bytes()).finalize();
    digest.iter().take(PLACE as usize / 8).fold(0, |place, byte| place << 8 | i64::from(*byte))
}

/// How far keys have moved, as the ledger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Every payment up to this number has its key in the index.
    settled: i64,
    /// Those after it, up to this number, are moving there in the order of the index.
    settling: i64,
    /// The last of them that is there.
    moved: Entry,
    /// How many are in the shallow layer.
    shallow: i64,
}

/// What the writer remembers of keys between works: nothing at first, and again whenever a transaction fails.
#[derive(Debug)]
pub(super) struct Keys {
    depths: Depths,
    is_current: bool,
    progress: Progress,
    /// The newest payment that is known here.
    newest: i64,
    /// Those that are moving into the index.
    moving: BTreeSet<Entry>,
    /// Those of newer payments.
    fresh: BTreeSet<Entry>,
    /// The last that moved from the shallow layer into the deep one. Forgotten without harm.
    deepened: Entry,
    /// Where there is none at all.
    sieve: Sieve,
}

impl Default for Keys {
    fn default() -> Self {
        Self::of(DEPTHS)
    }
}

impl Keys {
    /// Nothing remembered yet, of keys that move like this.
    pub(super) const fn of(depths: Depths) -> Self {
        Self {
            depths,
            is_current: false,
            progress: Progress { settled: 0, settling: 0, moved: START, shallow: 0 },
            newest: 0,
            moving: BTreeSet::new(),
            fresh: BTreeSet::new(),
            deepened: START,
            sieve: Sieve::blind(),
        }
    }

    /// Another process has written: what is remembered may be behind.
    pub(super) const fn doubt(&mut self) {
        self.is_current = false;
    }

    /// Reads what is not known yet.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_current {
            return Ok(());
        }
        let progress = connection.prepare_cached(PROGRESS)?.query_row([], Progress::read)?;
        if progress != self.progress {
            *self = Self { progress, ..Self::of(self.depths) };
        }
        self.sieve = Sieve::new(progress.settled);
        self.fresh.iter().chain(&self.moving).for_each(|entry| self.sieve.take(entry.0));
        let mut unknown = connection.prepare_cached(UNKNOWN)?;
        let mut unknown = unknown.query([self.newest.max(progress.settled)])?;
        while let Some(row) = unknown.next()? {
            self.newest = row.get(0)?;
            // What cannot be read is nobody's key. Others are found all the same, and `verify` names it.
            let Ok(key) = StoredKey::read(row, 2) else { continue };
            let entry = (place(row.get(1)?, &key), self.newest);
            if self.newest > progress.settling {
                self.fresh.insert(entry);
            } else if entry > progress.moved {
                self.moving.insert(entry);
            }
            self.sieve.take(entry.0);
        }
        self.is_current = true;
        Ok(())
    }

    /// The payments that may have this key.
    pub(super) fn find(
        &mut self,
        statements: &mut Statements<'_>,
        integration: i64,
        key: &StoredKey<'_>,
    ) -> rusqlite::Result<Vec<i64>> {
        let place = place(integration, key);
        let look = self.sieve.look(place);
        if look == Look::Empty {
            return Ok(Vec::new());
        }
        let mut found: Vec<i64> = self.remembered(place).collect();
        if look == Look::Perhaps {
            let mut there = statements.settled.query([place])?;
            while let Some(row) = there.next()? {
                found.push(row.get(0)?);
            }
            return Ok(found);
        }
        let mut neighbours = statements.neighbours.query(self.sieve.region(place))?;
        while let Some(row) = neighbours.next()? {
            let taken = row.get(0)?;
            self.sieve.take(taken);
            if taken == place {
                found.push(row.get(1)?);
            }
        }
        self.sieve.know(place);
        Ok(found)
    }

    /// The payments in this place whose keys have yet to move into the index.
    fn remembered(&self, place: i64) -> impl Iterator<Item = i64> {
        let here = (place, i64::MIN)..=(place, i64::MAX);
        self.fresh.range(here.clone()).chain(self.moving.range(here)).map(|(_, payment)| *payment)
    }

    /// Whether this payment's key has yet to move into the index.
    fn remembers(&self, integration: i64, key: &StoredKey<'_>, payment: i64) -> bool {
        let entry = (place(integration, key), payment);
        self.fresh.contains(&entry) || self.moving.contains(&entry)
    }

    /// A payment was written, with a key that none was found to have.
    pub(super) fn add(&mut self, integration: i64, key: &StoredKey<'_>, payment: i64) {
        let place = place(integration, key);
        self.newest = payment;
        self.sieve.take(place);
        self.fresh.insert((place, payment));
    }

    /// Moves on what has become too much for memory, or a part of it: these steps take away more than a commit brings.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for _ in 0..2 {
            if self.is_current && self.fresh.len() + self.moving.len() > self.depths.memory {
                self.step(connection)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.moving.is_empty() {
            self.moving = std::mem::take(&mut self.fresh);
            let Progress { settling, shallow, .. } = self.progress;
            self.progress = Progress { settled: settling, settling: self.newest, moved: START, shallow };
        }
        let mut add = connection.prepare_cached(ADD)?;
        for _ in 0..self.depths.step {
            let Some(entry) = self.moving.pop_first() else { break };
            self.progress.shallow += i64::from(add.execute(params![entry.0, entry.1])? > 0);
            self.progress.moved = entry;
        }
        while self.progress.shallow > self.depths.shallow {
            self.deepen(connection)?;
        }
        self.progress.write(connection)
    }

    /// Moves a step's neighbours from the shallow layer into the deep one; from the end, it begins anew.
    fn deepen(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let last = connection
            .prepare_cached(LAST_OF_STEP)?
            .query_row(params![self.deepened.0, self.deepened.1, self.depths.step - 1], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let until = last.unwrap_or(END);
        let between = [self.deepened.0, self.deepened.1, until.0, until.1];
        connection.prepare_cached(DEEPEN)?.execute(between)?;
        let moved = connection.prepare_cached(LEAVE)?.execute(between)?;
        self.progress.shallow -= i64::try_from(moved).unwrap_or(i64::MAX);
        if self.deepened == START && last.is_none() {
            // These were all, whatever was counted.
            self.progress.shallow = 0;
        }
        self.deepened = last.unwrap_or(START);
        Ok(())
    }
}

impl Progress {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            settled: row.get(0)?,
            settling: row.get(1)?,
            moved: (row.get(2)?, row.get(3)?),
            shallow: row.get(4)?,
        })
    }

    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { settled, settling, moved, shallow } = self;
        connection
            .prepare_cached(
                "UPDATE key_progress SET settled = ?1, settling = ?2, place = ?3, payment_id = ?4, shallow = ?5",
            )?
            .execute(params![settled, settling, moved.0, moved.1, shallow])?;
        Ok(())
    }
}

const PROGRESS: &str = "SELECT settled, settling, place, payment_id, shallow FROM key_progress";

pub(super) const UNKNOWN: &str = "SELECT id, integration_id, gateway_key FROM payment WHERE id > ?1 ORDER BY id";

/// The payments whose key has settled in this place.
pub(super) const SETTLED: &str = "SELECT payment_id FROM shallow_key WHERE place = ?1 \
     UNION ALL SELECT payment_id FROM deep_key WHERE place = ?1";

/// What has settled between these two places.
pub(super) const NEIGHBOURS: &str = "SELECT place, payment_id FROM shallow_key WHERE place BETWEEN ?1 AND ?2 \
     UNION ALL SELECT place, payment_id FROM deep_key WHERE place BETWEEN ?1 AND ?2";

const ADD: &str = "INSERT OR IGNORE INTO shallow_key (place, payment_id) VALUES (?1, ?2)";

pub(super) const LAST_OF_STEP: &str = "SELECT place, payment_id FROM shallow_key WHERE (place, payment_id) > (?1, ?2) \
     ORDER BY place, payment_id LIMIT 1 OFFSET ?3";

pub(super) const DEEPEN: &str = "INSERT OR IGNORE INTO deep_key SELECT place, payment_id FROM shallow_key \
     WHERE (place, payment_id) > (?1, ?2) AND (place, payment_id) <= (?3, ?4) ORDER BY place, payment_id";

pub(super) const LEAVE: &str =
    "DELETE FROM shallow_key WHERE (place, payment_id) > (?1, ?2) AND (place, payment_id) <= (?3, ?4)";

/// The payments with this key, one an integration at most: for who only reads, and remembers nothing.
pub(super) fn payments(
    connection: &Connection,
    key: &StoredKey<'_>,
    integration: Option<&str>,
) -> rusqlite::Result<Vec<i64>> {
    // One snapshot: a key may move from where it is yet to be looked for to where it was not found.
    let snapshot = connection.unchecked_transaction()?;
    let mut missing: BTreeSet<i64> = snapshot
        .prepare_cached("SELECT id FROM integration WHERE ?1 IS NULL OR name = ?1")?
        .query_map([integration], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let (mut settled, mut has) = (snapshot.prepare_cached(SETTLED)?, snapshot.prepare_cached(HAS)?);
    let mut found = BTreeSet::new();
    for integration in missing.clone() {
        for payment in settled.query_map([place(integration, key)], |row| row.get(0))? {
            let payment = payment?;
            if has.exists(params![payment, integration, key])? {
                missing.remove(&integration);
                found.insert(payment);
            }
        }
    }
    // The rest is looked for row by row, and only as far as need be.
    let mut fresh = snapshot.prepare_cached(FRESH)?;
    let mut fresh = fresh.query([key])?;
    while !missing.is_empty()
        && let Some(row) = fresh.next()?
    {
        if missing.remove(&row.get(0)?) {
            found.insert(row.get(1)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether this payment has that key.
const HAS: &str = "SELECT 1 FROM payment WHERE id = ?1 AND integration_id = ?2 AND gateway_key = ?3";

/// The payments with a key that has not settled, or is among those that are moving, the newest first.
pub(super) const FRESH: &str = "SELECT integration_id, id FROM payment NOT INDEXED \
     WHERE id > (SELECT settled FROM key_progress) AND gateway_key = ?1 ORDER BY id DESC";

/// Every payment must be found once by its key, and no other.
pub(super) fn verify(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let mut keys = Keys::default();
    keys.catch_up(connection)?;
    let (mut settled, mut has) = (connection.prepare(SETTLED)?, connection.prepare(HAS)?);
    let (mut of_payments, mut is_readable) = (0, true);
    let mut payments = connection.prepare(UNKNOWN)?;
    let mut payments = payments.query([0])?;
    while let Some(row) = payments.next()? {
        let (id, integration) = (row.get(0)?, row.get(1)?);
        let mut fault = |what: String| found.fault(Check::Keys, Some(("payment", id)), what);
        let key = match StoredKey::read(row, 2) {
            Ok(key) => key,
            Err(error) => {
                fault(unreadable(row, &error));
                is_readable = false;
                continue;
            }
        };
        let place = place(integration, &key);
        let settled = settled.query_map([place], |row| row.get(0))?;
        let there: Vec<i64> = keys.remembered(place).map(Ok).chain(settled).collect::<rusqlite::Result<_>>()?;
        match there.iter().filter(|payment| **payment == id).count() {
            0 => fault("is not found by its key".to_owned()),
            1 => {}
            times => fault(format!("is found {times} times by its key")),
        }
        of_payments += i64::from(!keys.remembers(integration, &key, id));
        for other in there.into_iter().filter(|payment| *payment != id) {
            if has.exists(params![other, integration, key])? {
                fault(format!("has the key of the payment numbered {other}"));
            }
        }
    }
    let layers = "SELECT (SELECT count(*) FROM shallow_key), (SELECT count(*) FROM deep_key)";
    let (shallow, deep): (i64, i64) = connection.query_row(layers, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if is_readable && shallow + deep != of_payments {
        let what = format!("the index of keys has {} entries instead of {of_payments}", shallow + deep);
        found.fault(Check::Keys, None, what);
    }
    if shallow != keys.progress.shallow {
        let what = format!("the shallow layer has {shallow} keys, not {} as was counted", keys.progress.shallow);
        found.fault(Check::Keys, None, what);
    }
    Ok(())
}
