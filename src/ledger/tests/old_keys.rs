//! Keys on their way out: what is kept of them, and when they can go.

use super::*;

const DAY: i64 = 86_400;

fn named(files: &[&str]) -> Vec<KeyFiles> {
    vec![(shop(), files.iter().map(ToString::to_string).collect())]
}

impl House {
    fn old_keys(&self) -> Vec<(String, i64, u64)> {
        let seconds = |when: Timestamp| (when - at(0)).num_seconds();
        let keys = self.ledger.reader().old_keys().unwrap();
        keys.into_iter().map(|key| (key.file.clone(), seconds(key.last_needed()), key.count)).collect()
    }
}

#[test]
fn a_key_can_go_thirty_days_after_it_was_last_needed_and_not_while_its_file_is_young() {
    let key = OldKey {
        integration: shop(),
        file: "former.key".into(),
        since: at(0),
        first_used: None,
        last_used: None,
        count: 0,
    };
    assert!(!key.is_idle(None, at(30 * DAY - 1)) && key.is_idle(None, at(30 * DAY)));
    let used = OldKey { first_used: Some(at(DAY)), last_used: Some(at(5 * DAY)), count: 2, ..key.clone() };
    assert!(!used.is_idle(None, at(35 * DAY - 1)) && used.is_idle(None, at(35 * DAY)));
    assert!(!key.is_idle(Some(at(9 * DAY)), at(39 * DAY - 1)) && key.is_idle(Some(at(9 * DAY)), at(39 * DAY)));
    assert!(!key.is_idle(None, at(-DAY)), "the clock was set back");
}

#[tokio::test]
async fn uses_belong_to_the_file_that_had_the_place() {
    let house = House::new();
    let ledger = &house.ledger;
    ledger.name_keys(named(&["new.key", "old.key", "older.key"]), at(0)).await.unwrap();
    ledger.note_old_keys(vec![(shop(), 3, 2)], at(60)).await.unwrap();
    ledger.note_old_keys(vec![(shop(), 2, 1), (shop(), 3, 5)], at(120)).await.unwrap();
    assert_eq!(house.old_keys(), [("old.key".to_owned(), 120, 1), ("older.key".to_owned(), 120, 7)]);

    ledger.name_keys(named(&["newest.key", "new.key", "old.key"]), at(200)).await.unwrap();
    ledger.note_old_keys(vec![(shop(), 3, 1)], at(260)).await.unwrap();
    assert_eq!(house.old_keys(), [("new.key".to_owned(), 200, 0), ("old.key".to_owned(), 260, 2)]);
    ledger.name_keys(named(&["newest.key"]), at(300)).await.unwrap();
    assert_eq!(house.old_keys(), []);
}
