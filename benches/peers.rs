//! Goal 4: the daemon beside what a shop would write itself. Each peer verifies a status update and commits event and
//! payment before it answers 200; the daemon keeps a chain, a poll plan and a letter beside them.
//!
//! `cargo bench --bench peers [-- --rounds 5 --round-ms 1500]`. `benches/peers/start` installs and starts those whose
//! runtimes are here; others are skipped, loudly. Two minutes, and what installing takes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::fastcgi;
use bench::house::{House, Wishes, empty};
use bench::load::{Measured, ReadAnswer, Requests, Round, http};
use bench::message::{Author, KEY, NOWHERE, request};
use bench::numbers::{Ratio, Table, millis};
use bench::{argument, machine};
use tempfile::TempDir;

/// How long a peer may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let (rounds, lasts) = (argument("rounds", 5), Duration::from_millis(argument("round-ms", 1500)));
    let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    machine::describe(empty().path());
    let prepared = Command::new(script()).arg("prepare").arg(&installed).output().expect("a shell");
    print!("{}", String::from_utf8_lossy(&prepared.stderr));
    let table = Table::new(
        "Goal 4: posts a second, made durable before they are answered",
        &[
            "peer   ",
            "connections",
            "peer/s",
            "peer p99 ms",
            "paynowd/s",
            "paynowd p99 ms",
            "ratio",
            "peer's memory, KiB",
        ],
    );
    let mut next = 1;
    for name in String::from_utf8_lossy(&prepared.stdout).lines() {
        let peer = Peer::start(name, &installed);
        let house = House::start(Wishes::default());
        peer.refuses_forgeries(next);
        for connections in [1, 64] {
            let mut pairs: Vec<(Measured, Measured)> = (0..rounds)
                .map(|_| {
                    let first = next;
                    next += 60 * argument("round-ms", 1500);
                    let theirs = peer.drive(connections, lasts, first..next);
                    let author = Author::at(NOWHERE);
                    let requests: Requests = (first..next).map(|serial| author.post(serial, "Paid")).collect();
                    (theirs, Round::closed(house.public, connections, lasts).drive(&requests))
                })
                .collect();
            pairs.sort_by_key(|(theirs, ours)| Ratio::of(ours.rate(), theirs.rate()));
            let (theirs, ours) = &pairs[pairs.len() / 2];
            table.row(&[
                &format!("{name:<7}"),
                &connections,
                &theirs.rate(),
                &millis(theirs.p99()),
                &ours.rate(),
                &millis(ours.p99()),
                &Ratio::of(ours.rate(), theirs.rate()),
                &peer.memory(),
            ]);
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/start")
}

/// A peer at work, in a process group of its own. Dropping it ends the group.
struct Peer {
    leader: Child,
    address: SocketAddr,
    read: ReadAnswer,
    /// How many connections it can serve at once, if that is few.
    at_once: usize,
    home: TempDir,
}

impl Peer {
    fn start(name: &str, installed: &Path) -> Self {
        let home = empty();
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let leader = Command::new(script())
            .arg(name)
            .arg(installed)
            .arg(home.path())
            .arg(address.port().to_string())
            .env("PAYNOW_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.path().join("log")).expect("a log"))
            .process_group(0)
            .spawn()
            .expect("a shell");
        // PHP speaks no HTTP itself. As a shop runs it there is a web server in front; this one is spared it, and each of
        // its processes serves one connection.
        let (read, at_once): (ReadAnswer, _) =
            if name == "fastcgi" { (fastcgi::answer, 4) } else { (http, usize::MAX) };
        let mut peer = Self { leader, address, read, at_once, home };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = peer.leader.try_wait().expect("a child");
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{name} does not listen: {}", peer.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        peer
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    fn request(&self, body: &str) -> Vec<u8> {
        if self.at_once < usize::MAX {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/php/receive.php");
            let ledger = self.home.path().join("ledger.db");
            return fastcgi::request(
                &[("SCRIPT_FILENAME", &script.to_string_lossy()), ("LEDGER", &ledger.to_string_lossy())],
                body,
            );
        }
        request(body).into_bytes()
    }

    fn drive(&self, connections: usize, lasts: Duration, serials: std::ops::Range<u64>) -> Measured {
        let author = Author::at(NOWHERE);
        let requests: Requests = serials.map(|serial| self.request(&author.update(serial, "Paid"))).collect();
        let round = Round::closed(self.address, connections.min(self.at_once), lasts);
        Round { read: self.read, ..round }.drive(&requests)
    }

    /// A peer that does not verify would be quicker.
    fn refuses_forgeries(&self, serial: u64) {
        let forged = Author::at(NOWHERE).update(serial, "Paid").replace("25.00", "26.00");
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream.write_all(&self.request(&forged)).expect("somebody listens");
        let mut heard = Vec::new();
        let status = loop {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).expect("an answer");
            heard.extend_from_slice(&piece[..read]);
            if let Some((status, _)) = (self.read)(&heard) {
                break status;
            }
            assert!(read > 0, "no answer to a forged post: {}", self.log());
        };
        assert_ne!(status, 200, "a forged post was taken");
    }

    /// What its processes have resident, counting what they share for each.
    fn memory(&self) -> u64 {
        let group = self.leader.id().to_string();
        let in_group = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(2)) == Some(&group)
        };
        let all = fs::read_dir("/proc").expect("a list of processes").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(in_group).map(|pid| machine::resident(pid, false)).sum()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.leader);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.leader.wait();
    }
}
