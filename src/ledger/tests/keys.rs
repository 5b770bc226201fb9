//! Whatever moves when, each payment is found by its key, and by no other.

use proptest::prelude::*;
use rusqlite::params;

use super::*;
use crate::ledger::keys::{self, Depths, Keys};
use crate::ledger::rows::StoredKey;
use crate::ledger::schema;
use crate::ledger::statements::Statements;

/// So few that everything moves soon.
const DEPTHS: Depths = Depths { memory: 3, shallow: 5, step: 2 };

const INTEGRATIONS: [i64; 2] = [1, 2];

/// A ledger's file, and a writer's memory beside it.
struct Shelf {
    file: Connection,
    keys: Keys,
    /// What is there, as it was put there.
    there: Vec<(i64, u8)>,
}

/// What happens to it.
#[derive(Clone, Debug)]
enum Event {
    /// A payment of a key is heard of, once or again.
    Heard(i64, u8),
    /// The same, but its transaction fails.
    Failed(i64, u8),
    /// The same, by another process.
    HeardBeside(i64, u8),
    /// The process ends and another one begins.
    Ended,
}

fn event() -> impl Strategy<Value = Event> {
    let key = || (prop::sample::select(INTEGRATIONS.to_vec()), 0..24_u8);
    prop_oneof![
        6 => key().prop_map(|(integration, key)| Event::Heard(integration, key)),
        1 => key().prop_map(|(integration, key)| Event::Failed(integration, key)),
        2 => key().prop_map(|(integration, key)| Event::HeardBeside(integration, key)),
        1 => Just(Event::Ended),
    ]
}

/// Some keys are GUIDs, some are words.
fn stored<T>(key: u8, with: impl FnOnce(&StoredKey<'_>) -> T) -> T {
    if key.is_multiple_of(3) {
        with(&StoredKey::Text(&format!("KEY-{key}")))
    } else {
        with(&StoredKey::Guid([key; 16]))
    }
}

impl Shelf {
    fn new() -> Self {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(schema::MIGRATIONS[0]).unwrap();
        file.execute_batch("INSERT INTO integration (id, name) VALUES (1, 'shop'), (2, 'stall')").unwrap();
        Self { file, keys: Keys::of(DEPTHS), there: Vec::new() }
    }

    fn find(&self, keys: &mut Keys, (integration, key): (i64, u8)) -> Option<i64> {
        keys.catch_up(&self.file).unwrap();
        let mut statements = Statements::prepare(&self.file).unwrap();
        let found = stored(key, |key| keys.find(&mut statements, integration, key)).unwrap();
        assert!(found.len() < 2, "{found:?}");
        found.first().copied()
    }

    /// As the writer does it: looks, writes the row if there is none, and lets what is too much settle.
    fn hear(&self, keys: &mut Keys, place: (i64, u8)) -> bool {
        let is_new = self.find(keys, place).is_none();
        if is_new {
            let insert = "INSERT INTO payment (integration_id, gateway_key, currency, mode, status, trust, posted, \
                          first_seen, last_changed, poll_pace, poll_attempt, poll_since) \
                          VALUES (?1, ?2, 'USD', 'live', 'paid', 'reported', 'current', 0, 0, 'confirm', 0, 0)";
            stored(place.1, |key| {
                self.file.execute(insert, params![place.0, key]).unwrap();
                keys.add(place.0, key, self.file.last_insert_rowid());
            });
        }
        keys.settle(&self.file).unwrap();
        is_new
    }

    fn happen(&mut self, event: &Event) {
        let mut keys = std::mem::replace(&mut self.keys, Keys::of(DEPTHS));
        match *event {
            Event::Heard(integration, key) => {
                if self.hear(&mut keys, (integration, key)) {
                    self.there.push((integration, key));
                }
                self.keys = keys;
            }
            Event::Failed(integration, key) => {
                self.file.execute_batch("BEGIN").unwrap();
                self.hear(&mut keys, (integration, key));
                self.file.execute_batch("ROLLBACK").unwrap();
            }
            Event::HeardBeside(integration, key) => {
                if self.hear(&mut Keys::of(DEPTHS), (integration, key)) {
                    self.there.push((integration, key));
                }
                keys.doubt();
                self.keys = keys;
            }
            Event::Ended => {}
        }
    }

    fn check(&mut self) {
        let mut keys = std::mem::replace(&mut self.keys, Keys::of(DEPTHS));
        for place in INTEGRATIONS.into_iter().flat_map(|integration| (0..24).map(move |key| (integration, key))) {
            let number = self.there.iter().position(|it| *it == place).map(|at| i64::try_from(at).unwrap() + 1);
            assert_eq!(self.find(&mut keys, place), number, "{place:?}");
            let name = if place.0 == 1 { "shop" } else { "stall" };
            let read = stored(place.1, |key| keys::payments(&self.file, key, Some(name))).unwrap();
            assert_eq!(read, Vec::from_iter(number), "{place:?}, by who only reads");
        }
        self.keys = keys;
        let mut found = Verification { events: 0, payments: 0, head: [0; 32], flaws: Vec::new() };
        keys::verify(&self.file, &mut found).unwrap();
        assert_eq!(found.flaws, []);
    }
}

proptest! {
    #[test]
    fn a_payment_is_found_by_its_key_however_far_that_has_moved(events in prop::collection::vec(event(), 1..80)) {
        let mut shelf = Shelf::new();
        for event in &events {
            shelf.happen(event);
        }
        shelf.check();
    }
}

#[test]
fn keys_move_through_all_layers_and_memory_stays_small() {
    let mut shelf = Shelf::new();
    for place in INTEGRATIONS.into_iter().flat_map(|integration| (0..24).map(move |key| (integration, key))) {
        shelf.happen(&Event::Heard(place.0, place.1));
        shelf.check();
        let rows = |table| {
            shelf.file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let remembered = i64::try_from(shelf.there.len()).unwrap() - rows("shallow_key") - rows("deep_key");
        assert!(remembered <= 3, "{remembered} keys are in memory");
        assert!(rows("shallow_key") <= 5, "the shallow layer is deep");
    }
    let deep: i64 = shelf.file.query_row("SELECT count(*) FROM deep_key", [], |row| row.get(0)).unwrap();
    assert!(deep >= 48 - 3 - 5, "{deep} keys are in the deep layer");
}

#[tokio::test]
async fn the_writer_lets_keys_settle_and_one_that_cannot_be_read_is_in_nobodys_way() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let many = "WITH RECURSIVE number (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n <= 8192) \
                INSERT INTO payment (integration_id, gateway_key, currency, mode, status, trust, posted, first_seen, \
                last_changed, poll_pace, poll_attempt, poll_since) SELECT 1, iif(n = 2, x'00', randomblob(16)), 'USD', \
                'live', 'paid', 'confirmed', 'current', 0, 0, 'confirm', 0, 0 FROM number";
    house.foreign().execute(many, []).unwrap();
    assert_eq!(house.post(2, "Paid", at(1)).await, Outcome::Opened);
    let settled = house.ask::<i64>("SELECT count(*) FROM shallow_key");
    assert_eq!(settled, Some(256));
    for payment in [1, 2] {
        assert_eq!(house.post(payment, "Paid", at(2)).await, Outcome::Repeated);
        assert_eq!(house.story(payment).known.payment.key, key(payment));
    }
    assert!(
        house
            .ledger
            .reader()
            .verify(Scope::Whole)
            .unwrap()
            .flaws
            .iter()
            .any(|flaw| flaw.check == Check::Keys && flaw.row == Some(("payment".to_owned(), 2)))
    );
}

#[tokio::test]
async fn a_key_that_shares_its_place_with_another_is_told_apart() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let place = keys::place(1, &StoredKey::Guid([2; 16]));
    house.foreign().execute("INSERT INTO deep_key VALUES (?1, 1)", [place]).unwrap();
    assert!(house.ledger.reader().stories(key(2).as_str(), None).unwrap().is_empty());
    assert_eq!(house.post(2, "Paid", at(1)).await, Outcome::Opened);
    assert_eq!(house.post(2, "Paid", at(2)).await, Outcome::Repeated);
    assert_eq!(house.story(2).known.payment.key, key(2));
}
