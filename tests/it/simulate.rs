//! `paynowd simulate` as a program of its own: somebody else's shop against it, and our daemon behind it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use paynowd::protocol::Key;
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use serde_json::Value;
use tempfile::TempDir;

use crate::house::http::{Answer, ask, post};
use crate::house::{House, SHOP_KEY, Settings, paynowd, write};

/// The simulator's process.
struct Simulate {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Simulate {
    /// Starts it and reads from its first line where it listens.
    fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join("shop.key"), SHOP_KEY);
        let mut command = paynowd(home.path());
        command.args(["simulate", "--listen", "127.0.0.1:0", "--key-file", "shop.key"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().rsplit("//").next().unwrap().parse().unwrap_or_else(|_| panic!("{first:?}"));
        Self { child, address, _home: home }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Simulate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a shop sends to begin a payment.
fn order(reference: &str, result_url: &str) -> String {
    let fields = Fields::from_pairs([
        ("id", "1201"),
        ("reference", reference),
        ("amount", "12.50"),
        ("additionalinfo", "a basket"),
        ("returnurl", "http://127.0.0.1/thanks"),
        ("resulturl", result_url),
        ("status", "Message"),
    ]);
    hash::sign(fields, "hash", Rule::Values, &Key::opaque(SHOP_KEY)).encode()
}

fn field(answer: &Answer, name: &str) -> String {
    Fields::parse(answer.body.as_bytes(), 64).unwrap().value(name).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_begins_a_payment_its_customer_pays_and_the_daemon_knows() {
    let simulate = Simulate::start(&[]);
    let house = House::start(Settings::usual().set("integrations.shop.gateway", simulate.origin())).await;
    let begun = post(simulate.address, "/interface/initiatetransaction", order("INV-32", &house.url("shop"))).await;
    assert_eq!((begun.status, field(&begun, "status").as_str()), (200, "Ok"), "{begun:?}");
    let poll_url = field(&begun, "pollurl");
    let guid = poll_url.rsplit('=').next().unwrap().to_owned();
    let poll = post(simulate.address, poll_url.strip_prefix(&simulate.origin()).unwrap(), "").await;
    assert_eq!((field(&poll, "status").as_str(), field(&poll, "amount").as_str()), ("Created", "12.50"));

    let page = field(&begun, "browserurl");
    let page = ask(simulate.address, "GET", page.strip_prefix(&simulate.origin()).unwrap(), &[], b"").await;
    assert!(page.status == 200 && page.body.contains("INV-32"), "{page:?}");
    let moved = post(simulate.address, &format!("/simulator/payments/{guid}/status"), "status=Paid").await;
    let moved: Value = serde_json::from_str(&moved.body).unwrap();
    assert_eq!(moved["http_status"], 200, "{moved}");
    let story = house.until_it_is(&guid, "paid", "confirmed").await;
    assert_eq!((&story["reference"], &story["amount"]), (&"INV-32".into(), &"12.50".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hash_is_refused_the_way_paynow_refuses_it() {
    let simulate = Simulate::start(&[]);
    let wrong = order("INV-32", "http://127.0.0.1:1/").replace("amount=12.50", "amount=12.51");
    let refused = post(simulate.address, "/interface/initiatetransaction", wrong).await;
    assert_eq!((refused.status, field(&refused, "status").as_str()), (200, "Error"));
    assert!(field(&refused, "error").starts_with("Invalid Hash. Hash should start with: "), "{refused:?}");
    let payments = ask(simulate.address, "GET", "/simulator/payments", &[], b"").await;
    assert_eq!(payments.body.trim(), "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_pay_themselves_and_misbehaviour_is_a_word_on_the_command_line() {
    let simulate =
        Simulate::start(&["--auto-pay", "5", "--time-factor", "50", "--extras", "--misbehave", "error-then-ok"]);
    let house = House::start(Settings::usual().set("integrations.shop.gateway", simulate.origin())).await;
    let begun = post(simulate.address, "/interface/initiatetransaction", order("INV-32", &house.url("shop"))).await;
    let guid = field(&begun, "pollurl").rsplit('=').next().unwrap().to_owned();
    let story = house.until_it_is(&guid, "paid", "confirmed").await;
    assert_eq!(story["polls"][0]["detail"], "the gateway answered HTTP 500");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_well_when_told_to_and_listens_only_on_this_machine() {
    let mut simulate = Simulate::start(&[]);
    let pid = rustix::process::Pid::from_raw(simulate.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(simulate.child.wait().unwrap().code(), Some(0));
    let home = tempfile::tempdir().unwrap();
    let public = paynowd(home.path()).args(["simulate", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(public.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&public.stderr).contains("only on this machine"), "{public:?}");
}
