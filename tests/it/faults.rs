//! The disk under the daemon is full, broken or read-only; the ledger is damaged; descriptors run out; names are not
//! found. What a person sees meanwhile, and that nobody has to do anything once it is over.

use std::fs;
use std::os::unix::fs::FileExt as _;

use paynowd::simulator::{PostSpec, SimulatedPayment};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::house::http::{Answer, FORM, Line, ask, post, request};
use crate::house::{House, Settings};
use crate::kills::assert_sound;
use crate::shim::{Disk, on_a_disk};

/// Full, as the kernel says it, and the other ways in which a disk fails.
const FULL: &str = "write=28";
const BROKEN_ON_WRITE: &str = "write=5";
const BROKEN_ON_SYNC: &str = "fsync=5";
const READ_ONLY: &str = "open=30 write=30";

/// The ledger on a disk of its own; letters go to another.
async fn built() -> (House, Disk) {
    let settings = on_a_disk(Settings::usual()).set("mail.directory", "mail").set("mail.retry", ["100ms"]);
    let mut house = House::build(settings).await;
    let disk = Disk::under(&mut house);
    (house, disk)
}

fn body(house: &House, payment: &SimulatedPayment) -> String {
    house.gateway.status_update_body(&payment.guid, "Paid").unwrap()
}

/// A payment that the gateway knows to be paid, and nobody else yet.
fn paid(house: &House, reference: &str) -> SimulatedPayment {
    let payment = house.begin(reference, "25.00");
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    payment
}

async fn look(house: &House, page: &str) -> Answer {
    ask(house.admin, "GET", page, &[], b"").await
}

/// While the disk fails in this way posts are answered 503 and nothing is claimed; afterwards everything goes on.
async fn posts_wait_while_the_disk_fails(words: &str, says: &str) {
    let (mut house, disk) = built().await;
    house.open().await;
    let before = house.pay("INV-1", "25.00").await;
    house.until_it_is(&before.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    disk.fail(words);
    let payment = paid(&house, "INV-2");
    for _ in 0..3 {
        let answer = post(house.public, "/paynow/shop", body(&house, &payment)).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("retry-after")), (503, "", Some("5")));
    }
    let forged = post(house.public, "/paynow/shop", body(&house, &payment).replace("25.00", "26.00")).await;
    assert_eq!(forged.status, 503, "what cannot be kept in quarantine is not disposed of either");
    let ready = look(&house, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.starts_with("not ready: ") && ready.body.contains(says), "{}", ready.body);
    assert_eq!(look(&house, "/healthz").await.status, 200, "a restart would not help");
    house.until_logged("a post could not be stored; the gateway is asked to bring it again").await;
    assert!(house.log().contains(says), "{}", house.log());
    assert_eq!(house.payments_json(&[]).len(), 1, "what is known can still be read");
    disk.fail("");
    assert_eq!(look(&house, "/readyz").await.status, 200);
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 200);
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.until_letters(2).await.len(), 2);
    house.kill();
    disk.lose_power(None);
    assert_sound(&house);
    assert_eq!(house.payments_json(&["--trust", "confirmed"]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_posts_are_answered_503_and_afterwards_200() {
    posts_wait_while_the_disk_fails(FULL, "database or disk is full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_writing_fails_posts_are_answered_503_and_afterwards_200() {
    posts_wait_while_the_disk_fails(BROKEN_ON_WRITE, "disk I/O error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_syncing_fails_posts_are_answered_503_and_afterwards_200() {
    posts_wait_while_the_disk_fails(BROKEN_ON_SYNC, "disk I/O error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_read_only_posts_are_answered_503_and_afterwards_200() {
    posts_wait_while_the_disk_fails(READ_ONLY, "disk I/O error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_cannot_hold_a_ledger_the_daemon_does_not_start_and_says_why() {
    for (words, says) in [(FULL, "full"), (BROKEN_ON_WRITE, "I/O error"), (READ_ONLY, "Read-only file system")] {
        let (mut house, disk) = built().await;
        disk.fail(words);
        let refused = house.serve_in_vain().await;
        assert_eq!(refused.code(), Some(69), "{words}: {}", house.log());
        assert!(house.log().contains("paynowd.db") && house.log().contains(says), "{words}: {}", house.log());
        disk.fail("");
        house.open().await;
        house.pay("INV-1", "25.00").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_damaged_page_nothing_is_acknowledged_and_verify_says_what_to_do() {
    let mut house = House::start(Settings::usual()).await;
    let known = house.pay("INV-1", "25.00").await;
    house.until_it_is(&known.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    house.stop().await;
    let pristine = fs::read(house.path("paynowd.db")).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'event'";
    let root: u32 = house.ledger().query_row(sql, [], |row| row.get(0)).unwrap();
    let file = fs::File::options().write(true).open(house.path("paynowd.db")).unwrap();
    file.write_all_at(&[0x5A; 4096], u64::from(root - 1) * 4096).unwrap();
    house.open().await;
    let payment = paid(&house, "INV-2");
    let answer = post(house.public, "/paynow/shop", body(&house, &payment)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    let ready = look(&house, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("database disk image is malformed"), "{}", ready.body);
    house.until_logged("a post could not be stored").await;
    let verified = house.run(&["ledger", "verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{said}");
    assert!(said.contains("file: ") && said.contains("chain: "), "{said}");
    assert!(said.contains("NOT in order: keep a copy of the file and its -wal as they are"), "{said}");
    // The one fault that needs a hand: the backup is put in its place.
    house.kill();
    for name in ["paynowd.db", "paynowd.db-wal", "paynowd.db-shm"] {
        let _ = fs::remove_file(house.path(name));
    }
    fs::write(house.path("paynowd.db"), pristine).unwrap();
    house.open().await;
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 200);
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_sound(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_write_ahead_log_a_ledger_is_an_older_one_in_order_with_another_head() {
    let head = |house: &House| {
        let said = house.done(&["ledger", "verify"]);
        said.lines().find(|line| line.starts_with("head ")).unwrap().to_owned()
    };
    let mut house = House::start(Settings::usual()).await;
    let kept = house.pay("INV-1", "25.00").await;
    house.until_it_is(&kept.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    house.stop().await;
    assert!(!house.path("paynowd.db-wal").exists(), "after an orderly end there is none to delete");
    let older = head(&house);
    house.open().await;
    let lost = house.pay("INV-2", "25.00").await;
    house.until_it_is(&lost.guid, "paid", "confirmed").await;
    house.kill();
    let noted = head(&house);
    fs::remove_file(house.path("paynowd.db-wal")).unwrap();
    house.open().await;
    assert_eq!((head(&house) == older, head(&house) == noted), (true, false), "the head that was noted is missing");
    assert!(house.story(&lost.guid).is_none());
    // What the gateway says again is recorded again.
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &lost)).await.status, 200);
    house.until_it_is(&lost.guid, "paid", "confirmed").await;
    assert_sound(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_descriptors_the_daemon_serves_whom_it_has_and_lets_others_in_later() {
    let house = House::start(Settings::usual().set("mail.retry", ["100ms"])).await;
    let mut line = Line::open(house.public).await.unwrap();
    let say = |payment: &SimulatedPayment| request("POST", "/paynow/shop", &[FORM], body(&house, payment).as_bytes());
    let (first, second, third) = (paid(&house, "INV-1"), paid(&house, "INV-2"), paid(&house, "INV-3"));
    assert_eq!(line.ask(&say(&first)).await.unwrap().status, 200);
    house.until_it_is(&first.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    let pid = Pid::from_raw(house.pid().cast_signed());
    // Nothing that is open is closed by this; nothing else can be opened.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), maximum }).unwrap();
    assert_eq!(line.ask(&say(&second)).await.unwrap().status, 200, "who is inside is served");
    let mut late = Line::open(house.public).await.unwrap();
    late.say(&say(&third)).await.unwrap();
    house.until_logged("cannot accept connections; trying until it works").await;
    house.until_logged("Too many open files").await;
    assert_eq!(house.log().matches("cannot accept connections").count(), 1, "it is said once");
    prlimit(pid, Resource::Nofile, before).unwrap();
    assert_eq!(late.answer().await.unwrap().status, 200, "who waited at the door is let in");
    for payment in [&second, &third] {
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
    }
    house.until_letters(3).await;
    assert_eq!(look(&house, "/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_resolves_keeps_no_daemon_from_ending() {
    let gateway = "http://localhost:1";
    let settings = on_a_disk(Settings::usual()).set("integrations.shop.gateway", gateway);
    let mut house = House::build(settings).await;
    let disk = Disk::under(&mut house);
    disk.silence_the_resolver();
    house.open().await;
    let payment = house.begin("INV-1", "25.00");
    let poll_url = format!("{gateway}/Interface/CheckPayment/?guid={}", payment.guid);
    assert_eq!(house.post(&payment, &PostSpec::status("Paid").field("pollurl", &poll_url)).await, 200);
    house.wait(|| disk.is_resolving().then_some(())).await.expect("a question");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_moved_away_under_the_daemon_takes_nothing_until_it_is_back() {
    let house = House::start(Settings::usual()).await;
    let before = house.pay("INV-1", "25.00").await;
    house.until_it_is(&before.guid, "paid", "confirmed").await;
    let moved = |from: &str, to: &str| {
        fs::create_dir_all(house.path(to)).unwrap();
        for file in ["paynowd.db", "paynowd.db-wal", "paynowd.db-shm"] {
            fs::rename(house.path(from).join(file), house.path(to).join(file)).unwrap();
        }
    };
    house.until_logged("there was no ledger, so a new one is begun").await;
    moved("", "elsewhere");
    let payment = paid(&house, "INV-2");
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 503);
    let ready = look(&house, "/readyz").await;
    assert!(ready.status == 503 && ready.body.contains("was moved or deleted; put it back"), "{}", ready.body);
    moved("elsewhere", "");
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 200);
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_not_grow_end_nothing() {
    let house = House::start(Settings::usual()).await;
    let pid = Pid::from_raw(house.pid().cast_signed());
    let maximum = getrlimit(Resource::Fsize).maximum;
    let payment = paid(&house, "INV-1");
    // Neither the ledger nor the log can be written now.
    let before = prlimit(pid, Resource::Fsize, Rlimit { current: Some(1), maximum }).unwrap();
    for _ in 0..3 {
        assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 503);
    }
    assert_eq!(look(&house, "/readyz").await.status, 503);
    prlimit(pid, Resource::Fsize, before).unwrap();
    assert_eq!(post(house.public, "/paynow/shop", body(&house, &payment)).await.status, 200);
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
}
