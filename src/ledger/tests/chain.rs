//! The chain, recomputed from what the file holds by somebody who has only read its description.

use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use super::*;

fn append(canonical: &mut Vec<u8>, field: Option<&[u8]>) {
    let length = field.map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap());
    canonical.extend(length.to_le_bytes());
    canonical.extend(field.unwrap_or_default());
}

/// The first event whose digest does not follow from its row and the event before it.
fn first_break(file: &Connection) -> Option<i64> {
    let mut statement = file
        .prepare(
            "SELECT event.id, name, gateway_key, at, channel, evidence, outcome, said, event.wire_status, \
             said_at, said_earliest, said_latest, event.reference, event.gateway_reference, event.amount, event.amount_paid, event.method, event.status, event.trust, body, \
             digest FROM event LEFT JOIN payment ON payment.id = payment_id LEFT JOIN integration ON integration.id = integration_id \
             ORDER BY event.id",
        )
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut previous = vec![0_u8; 32];
    while let Some(row) = rows.next().unwrap() {
        let mut canonical = Vec::new();
        append(&mut canonical, Some(&previous));
        for column in 1..19 {
            match row.get_ref(column).unwrap() {
                ValueRef::Blob(guid) => {
                    let hex = hex::encode(guid);
                    let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
                    append(&mut canonical, Some(text.as_bytes()));
                }
                ValueRef::Text(text) => append(&mut canonical, Some(text)),
                ValueRef::Integer(number) => append(&mut canonical, Some(&number.to_le_bytes())),
                ValueRef::Null => append(&mut canonical, None),
                ValueRef::Real(_) => panic!("a float in the ledger"),
            }
        }
        append(&mut canonical, Some(&Sha256::digest(row.get_ref(19).unwrap().as_blob().unwrap())));
        let digest: Vec<u8> = row.get(20).unwrap();
        if digest != Sha256::digest(&canonical).as_slice() {
            return Some(row.get(0).unwrap());
        }
        previous = digest;
    }
    None
}

pub(super) fn assert_unbroken(file: &Connection) {
    assert_eq!(first_break(file), None);
}

/// Four events of two payments, by a daemon that has closed its file.
pub(super) async fn closed() -> (TempDir, PathBuf) {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    house.post(2, "On Hold", at(1)).await;
    house.post(1, "Paid", at(2)).await;
    house.poll(1, "Paid", at(3)).await;
    let (path, House { home, ledger, .. }) = (house.path(), house);
    ledger.close();
    (home, path)
}

#[tokio::test]
async fn every_event_is_chained_to_the_one_before_it() {
    let (_home, path) = closed().await;
    let file = Connection::open(path).unwrap();
    assert_unbroken(&file);
    assert_eq!(file.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0)).unwrap(), 4);
}

#[tokio::test]
async fn a_changed_dropped_or_moved_event_breaks_the_chain() {
    for (tampering, breaks_at) in [
        ("UPDATE event SET body = replace(CAST(body AS TEXT), '25.00', '26.00') WHERE id = 2", 2),
        ("UPDATE event SET body = CAST(body || 'x' AS BLOB) WHERE id = 4", 4),
        ("UPDATE event SET amount = amount + 1 WHERE id = 1", 1),
        ("UPDATE event SET trust = 'confirmed' WHERE id = 3", 3),
        ("UPDATE event SET at = at + 1 WHERE id = 3", 3),
        ("UPDATE event SET payment_id = 2 WHERE id = 3", 3),
        ("UPDATE event SET digest = zeroblob(32) WHERE id = 2", 2),
        ("DELETE FROM event WHERE id = 2", 3),
    ] {
        let (_home, path) = closed().await;
        let file = Connection::open(path).unwrap();
        file.execute_batch("DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_deleted").unwrap();
        let tampering = tampering.replace(
            "replace(CAST(body AS TEXT), '25.00', '26.00')",
            "CAST(replace(CAST(body AS TEXT), '25.00', '26.00') AS BLOB)",
        );
        assert_eq!(file.execute(&tampering, []).unwrap(), 1, "{tampering}");
        assert_eq!(first_break(&file), Some(breaks_at), "{tampering}");
    }
}

#[tokio::test]
async fn events_can_be_neither_changed_nor_deleted() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    for attempt in ["UPDATE event SET status = 'refunded'", "DELETE FROM event", "UPDATE event SET body = x''"] {
        let error = house.foreign().execute(attempt, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    assert_unbroken(&house.foreign());
}

#[tokio::test]
async fn two_processes_write_one_chain() {
    let house = House::new();
    let command = Ledger::open(&settings(house.path()), Role::Command).unwrap();
    for turn in 0..4_u8 {
        house.post(turn, "Paid", at(0)).await;
        let seen = house.posted(&message(100 + turn, "Paid", "25.00"), at(1));
        command.record(seen, None, Arc::clone(&house.terms), Admission::Wait).await.unwrap();
    }
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM event"), Some(8));
    assert_unbroken(&house.foreign());
    command.close();
}
