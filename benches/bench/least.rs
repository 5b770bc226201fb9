//! The least that any receiver of this kind does, in a process of its own: hyper, the form read and its hash compared,
//! one thread that commits in groups, and four rows a payment. No chain, no state, no quarantine, no bound, no lists.
//! What the daemon costs beyond it is what it does beyond it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::Response;
use paynowd::domain::Observation;
use paynowd::protocol::Post;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use super::{child, shop};

/// How many posts share a commit at most, as in the daemon.
const GROUP: usize = 256;

/// The four tables of the plainest such design, and the indexes they cannot do without.
const TABLES: &str = "CREATE TABLE event (id INTEGER PRIMARY KEY, payment_id INTEGER, at INTEGER, body BLOB);
    CREATE TABLE payment (id INTEGER PRIMARY KEY, guid BLOB UNIQUE, reference TEXT, amount INTEGER, status TEXT);
    CREATE INDEX payment_by_reference ON payment (reference);
    CREATE TABLE poll (payment_id INTEGER PRIMARY KEY, due INTEGER, attempt INTEGER);
    CREATE INDEX poll_by_due ON poll (due);
    CREATE TABLE outbox (id INTEGER PRIMARY KEY, payment_id INTEGER, notice TEXT, recipient TEXT, due INTEGER);
    CREATE INDEX outbox_by_due ON outbox (due);";

/// A post that waits for the disk, and who waits for it.
type Waiting = (Observation, oneshot::Sender<()>);

/// Starts it with its database in `home`.
pub fn receiver(home: &Path, environment: &[(&'static str, String)]) -> (child::Running, SocketAddr) {
    let mut command = child::command("least", &[home.display().to_string()]);
    command.envs(environment.iter().cloned());
    child::serve(command)
}

/// Plays `least`.
pub fn be_least(values: &[String]) {
    let [home] = values else { panic!("least HOME") };
    let connection = Connection::open(Path::new(home).join("least.db")).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
    connection.pragma_update(None, "synchronous", "FULL").expect("a disk");
    connection.execute_batch(TABLES).expect("tables");
    let (queue, posts) = mpsc::channel(4096);
    std::thread::spawn(move || write(&connection, posts));
    let integration = Arc::new(shop::integration(&[]));
    child::serve_all(move |request| {
        let (queue, integration) = (queue.clone(), Arc::clone(&integration));
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let post = Post { body: &body, signatures: &[] };
            let seen = integration.gateway.read_post(&post, shop::now()).expect("genuine").into_value();
            let (waiting, written) = oneshot::channel();
            queue.send((seen, waiting)).await.expect("a writer");
            written.await.expect("a commit");
            Ok(Response::new(Empty::new()))
        }
    });
}

/// Group after group: everything that waits, one commit, then all are answered.
fn write(connection: &Connection, mut posts: mpsc::Receiver<Waiting>) {
    let ready = |text| connection.prepare(text).expect("a statement");
    let mut payment = ready(
        "INSERT INTO payment (guid, reference, amount, status) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (guid) DO UPDATE SET status = excluded.status",
    );
    let mut event = ready("INSERT INTO event (payment_id, at, body) VALUES (?1, ?2, ?3)");
    let mut poll = ready("INSERT OR REPLACE INTO poll VALUES (?1, ?2, 0)");
    let mut letter = ready("INSERT INTO outbox (payment_id, notice, recipient, due) VALUES (?1, 'paid', ?2, ?3)");
    let mut group: Vec<Waiting> = Vec::new();
    while posts.blocking_recv_many(&mut group, GROUP) > 0 {
        let commit = connection.unchecked_transaction().expect("a transaction");
        for (seen, _) in &group {
            let at = seen.at.timestamp_millis();
            let amount = seen.facts.amount.map(paynowd::domain::Amount::ten_thousandths);
            let reference = seen.facts.reference.as_ref().map(paynowd::domain::Reference::as_str);
            let guid = seen.key.guid().expect("a GUID");
            payment.execute(params![guid, reference, amount, seen.status.code()]).expect("a payment");
            let id = connection.last_insert_rowid();
            event.execute(params![id, at, seen.body]).expect("an event");
            poll.execute([id, at + 5000]).expect("a poll");
            letter.execute(params![id, "owner@shop.example", at]).expect("a letter");
        }
        commit.commit().expect("a commit");
        for (_, waiting) in group.drain(..) {
            let _ = waiting.send(());
        }
    }
}
