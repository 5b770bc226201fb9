//! The file itself: opening, closing, crashing, and sharing it with others.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::ffi;

use super::*;

#[tokio::test]
async fn an_empty_file_is_migrated_and_a_current_one_opens_as_it_is() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let (path, House { home: _home, ledger, .. }) = (house.path(), house);
    ledger.close();
    for _ in 0..2 {
        let ledger = Ledger::open(&settings(path.clone()), Role::Daemon).unwrap();
        assert_eq!(ledger.reader().stories("INV-1", None).unwrap().len(), 1);
        ledger.close();
    }
    let empty = path.with_file_name("empty.db");
    std::fs::write(&empty, "").unwrap();
    Ledger::open(&settings(empty), Role::Command).unwrap().close();
}

#[tokio::test]
async fn closing_folds_the_log_into_the_ledger_and_finishes_what_is_queued() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let (path, House { home: _home, ledger, .. }) = (house.path(), house);
    ledger.close();
    let log = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0);
    assert_eq!(Reader::open(&path).unwrap().stories("INV-1", None).unwrap().len(), 1);
}

#[tokio::test]
async fn an_open_ledger_folds_its_log_again_and_again_so_that_it_stays_small() {
    const FIRST: u8 = 32;
    // Each page with the 24 bytes that the log puts before it.
    let folded_at = u64::from(writer::CHECKPOINT) * (4096 + 24);
    let house = House::new();
    let log = || std::fs::metadata(house.path().with_extension("db-wal")).unwrap().len();
    let empty = log();
    for payment in 0..FIRST {
        house.post(payment, "Created", at(0)).await;
    }
    let first = log() - empty;
    for word in ["Created", "Sent", "Paid", "Awaiting Delivery", "Delivered"] {
        for payment in 0..=u8::MAX {
            house.post(payment, word, at(1)).await;
        }
    }
    // Five times 256 posts, a commit each. The file does not shrink when the log begins anew: this is the longest it was.
    let written = first * (5 * 256 / u64::from(FIRST));
    assert!(written > 2 * folded_at, "too little for this test: {written} bytes");
    assert!(log() < folded_at + folded_at / 2, "{} bytes in the log, of about {written} that were written", log());
}

#[tokio::test]
async fn what_little_so_many_works_wrote_is_folded_too() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let ledger = || std::fs::metadata(house.path()).unwrap().len();
    let before = ledger();
    // And one more, which is answered after the log was folded for those before it.
    for _ in 0..=writer::FOLDED {
        house.ledger.ping(Admission::Wait).await.unwrap();
    }
    assert!(ledger() > before, "the ledger's own file still has {before} bytes");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_at_any_later_instant() {
    let house = House::with(Terms { announce: Announce::Reported, ..terms() }, |_| {});
    for payment in 1..4_u8 {
        house.post(payment, "Paid", at(0)).await;
        // What a power cut leaves: the ledger and its log as they are now, the shared memory gone.
        let after = tempfile::tempdir().unwrap();
        let copy = after.path().join("paynowd.db");
        std::fs::copy(house.path(), &copy).unwrap();
        std::fs::copy(house.path().with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let ledger = Ledger::open(&settings(copy.clone()), Role::Daemon).unwrap();
        for known in 1..=payment {
            let stories = ledger.reader().stories(key(known).as_str(), None).unwrap();
            assert_eq!((stories.len(), stories[0].events.len(), stories[0].letters.len()), (1, 1, 1));
        }
        let (due, _) = ledger.reader().due_questions(vec!["shop".into()], at(1), 9).await.unwrap();
        assert_eq!(due.len(), usize::from(payment));
        ledger.close();
        chain::assert_unbroken(&Connection::open(&copy).unwrap());
    }
}

#[tokio::test]
async fn a_ledger_of_a_newer_release_is_refused_and_left_alone() {
    let house = House::new();
    let (path, House { home: _home, ledger, .. }) = (house.path(), house);
    ledger.close();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for role in [Role::Daemon, Role::Command] {
        assert!(matches!(Ledger::open(&settings(path.clone()), role), Err(LedgerError::Newer { found: 99, .. })));
    }
    assert!(matches!(Reader::open(&path), Err(LedgerError::Newer { found: 99, .. })));
}

#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("orders.db");
    for setup in ["CREATE TABLE orders (id INTEGER PRIMARY KEY)", "PRAGMA user_version = 1"] {
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        let before = std::fs::read(&path).unwrap();
        for role in [Role::Daemon, Role::Command] {
            let opened = Ledger::open(&settings(path.clone()), role);
            assert!(matches!(opened, Err(LedgerError::Foreign { .. })), "{:?}", opened.err());
        }
        assert!(matches!(Reader::open(&path), Err(LedgerError::Foreign { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn there_is_one_daemon_and_any_number_of_commands() {
    let house = House::new();
    assert!(matches!(Ledger::open(&settings(house.path()), Role::Daemon), Err(LedgerError::InUse { .. })));
    let commands = [0, 1].map(|_| Ledger::open(&settings(house.path()), Role::Command).unwrap());
    for command in commands {
        command.ping(Admission::Wait).await.unwrap();
        command.close();
    }
    let (path, House { home: _home, ledger, .. }) = (house.path(), house);
    ledger.close();
    Ledger::open(&settings(path), Role::Daemon).unwrap().close();
}

#[test]
fn a_command_that_looks_whether_a_daemon_serves_keeps_none_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("paynowd.db");
    let command = Ledger::open(&settings(path.clone()), Role::Command).unwrap();
    let (ended, looked) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                command.is_served().unwrap();
                looked.store(true, Ordering::Relaxed);
            }
        });
        while !looked.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let refused = (0..100).filter(|_| schema::lock_for_daemon(&path).is_err()).count();
        ended.store(true, Ordering::Relaxed);
        assert_eq!(refused, 0, "of 100 starts");
    });
}

#[test]
fn a_lock_that_root_makes_belongs_to_the_ledgers_owner() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("paynowd.db");
    let command = Ledger::open(&settings(path.clone()), Role::Command).unwrap();
    // Only root can give a file away; for anybody else it is the same owner all along.
    let _ = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534));
    let owner = |path: &Path| std::fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
    drop(command.take_turn().unwrap());
    assert!(!command.is_served().unwrap());
    for lock in ["paynowd.db.reconcile.lock", "paynowd.db.lock"] {
        assert_eq!(owner(&home.path().join(lock)), owner(&path), "{lock}");
    }
}

#[tokio::test]
async fn a_second_daemon_migrates_nothing_under_the_first() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("new/paynowd.db");
    let _lock = schema::lock_for_daemon(&path).unwrap();
    assert!(matches!(Ledger::open(&settings(path.clone()), Role::Daemon), Err(LedgerError::InUse { .. })));
    assert!(!path.exists());
}

#[test]
fn there_is_nothing_to_read_where_there_is_no_ledger() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("paynowd.db");
    assert!(matches!(Reader::open(&path), Err(LedgerError::Missing)));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Reader::open(&path), Err(LedgerError::Missing)), "an empty file is no ledger either");
    std::fs::write(&path, "this is not a ledger at all, but a letter to somebody").unwrap();
    assert!(Ledger::open(&settings(path), Role::Daemon).is_err());
}

#[tokio::test]
async fn a_lock_held_by_another_process_costs_an_error_and_nothing_after_it() {
    let house = House::new();
    let foreign = house.foreign();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = message(1, "Paid", "25.00");
    let refused = house.hear(&body, at(0), Admission::Refuse).await;
    assert!(matches!(refused, Err(LedgerError::Storage { doing: "written", .. })), "{refused:?}");
    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(house.hear(&body, at(1), Admission::Refuse).await.unwrap().outcome, Outcome::Opened);
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM event"), Some(1));
}

#[tokio::test]
async fn a_ledger_that_another_process_keeps_locked_is_opened_and_the_write_says_so() {
    let house = House::new();
    let foreign = house.foreign();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let command = Ledger::open(&settings(house.path()), Role::Command).unwrap();
    let refused = command.ping(Admission::Wait).await.unwrap_err().to_string();
    assert!(refused.contains("written: another process keeps it locked") && refused.contains("try again"), "{refused}");
    command.close();
}

#[test]
fn a_ledger_of_another_user_is_named_with_whom_to_become() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("paynowd.db");
    std::fs::write(&path, "").unwrap();
    let nobody = std::os::unix::fs::chown(&path, Some(54_321), None).is_ok();
    // Who is not root cannot give a file away, but is not root, whose file this is.
    let (path, owner) = if nobody { (path, "'#54321'") } else { ("/etc/passwd".into(), "root") };
    for (code, is_refusal) in [(ffi::SQLITE_CANTOPEN, true), (ffi::SQLITE_READONLY, true), (ffi::SQLITE_FULL, false)] {
        let error = LedgerError::read(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        let told = schema::forbidden(error, &path, true);
        assert_eq!(
            matches!(&told, LedgerError::Forbidden { owner: found, .. } if found == owner),
            is_refusal,
            "{told}"
        );
    }
    let cause = std::io::ErrorKind::PermissionDenied.into();
    let told = schema::forbidden(LedgerError::File { path: path.join("x"), cause }, &path.join("x"), false).to_string();
    assert!(
        told.ends_with(&format!("may not read the ledger; it belongs to {owner}: sudo -u {owner} paynowd …")),
        "{told}"
    );
}

#[tokio::test]
async fn a_full_queue_before_a_writer_that_hangs_is_no_sign_of_life() {
    let house = House::with(terms(), |settings| settings.queue = 1);
    assert!(house.ledger.answers_within(Duration::from_secs(5)).await);
    let other = house.foreign();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let patience = Duration::from_millis(100);
    // One is in the writer's hands, one fills the queue.
    for _ in 0..2 {
        tokio::time::timeout(patience, house.ledger.ping(Admission::Refuse)).await.unwrap_err();
    }
    assert!(matches!(house.ledger.ping(Admission::Refuse).await, Err(LedgerError::Full)));
    assert!(!house.ledger.answers_within(patience).await);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(house.ledger.answers_within(Duration::from_secs(5)).await);
}
