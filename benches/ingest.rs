//! How many posts a second the daemon makes durable, beside a bare hyper server that reads the body and answers 200.
//!
//! `cargo bench --bench ingest` starts the built daemon on a ledger in a temporary directory, and drives both servers
//! from this process over loopback with 1, 16, 64 and 256 kept connections, in interleaved rounds. Absolute figures
//! belong to the machine; the ratio travels. Bounded: about half a minute.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench ends when something is wrong, and prints")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use paynowd::protocol::Key;
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1500);

fn main() {
    let home = std::env::temp_dir().join(format!("paynowd-bench-{}", std::process::id()));
    fs::create_dir_all(&home).expect("a directory for the ledger");
    let (mut daemon, durable) = start_daemon(&home);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bare = start_bare().await;
        let serial = Arc::new(AtomicU64::new(1));
        println!("connections   bare hyper/s   durable/s   ratio   durable p50 ms   p99 ms");
        for connections in CONNECTIONS {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                let bare = drive(bare, connections, &serial).await;
                let kept = drive(durable, connections, &serial).await;
                rounds.push((bare, kept));
            }
            rounds.sort_by(|a, b| (a.1.rate * b.0.rate).cmp(&(b.1.rate * a.0.rate)));
            let (bare, kept) = &rounds[ROUNDS / 2];
            let percent = kept.rate * 100 / bare.rate.max(1);
            println!(
                "{connections:>11}   {:>12}   {:>9}   {:>2}.{:02}   {:>14}   {:>6}",
                bare.rate,
                kept.rate,
                percent / 100,
                percent % 100,
                millis(kept.p50),
                millis(kept.p99)
            );
        }
    });
    let _ = daemon.kill();
    let _ = daemon.wait();
    let memory = fs::metadata(home.join("paynowd.db")).map_or(0, |file| file.len());
    println!("ledger: {} MiB", memory >> 20);
    let _ = fs::remove_dir_all(&home);
}

/// What one round measured.
struct Measured {
    rate: u64,
    p50: Duration,
    p99: Duration,
}

fn millis(time: Duration) -> String {
    format!("{}.{:02}", time.as_micros() / 1000, time.as_micros() % 1000 / 10)
}

/// Posts new payments over `connections` kept connections until the round ends. Every answer must be 200.
async fn drive(server: SocketAddr, connections: usize, serial: &Arc<AtomicU64>) -> Measured {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let serial = Arc::clone(serial);
        clients.spawn(async move {
            let mut stream = TcpStream::connect(server).await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            let mut times = Vec::new();
            let mut answer = [0_u8; 1024];
            while started.elapsed() < ROUND {
                let request = request(serial.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                stream.write_all(&request).await.expect("the server takes the request");
                let mut read = 0;
                while !answer[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                    read += stream.read(&mut answer[read..]).await.expect("the server answers");
                }
                assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
                times.push(sent.elapsed());
            }
            times
        });
    }
    let mut times: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    times.sort_unstable();
    let rate = u64::try_from(times.len() as u128 * 1000 / started.elapsed().as_millis().max(1)).unwrap_or(0);
    Measured { rate, p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
}

/// A genuine status update about a payment nobody has heard of.
fn request(serial: u64) -> Vec<u8> {
    let mixed = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let guid = format!("{:08x}-{:04x}-4000-8000-{:012x}", mixed >> 32, mixed >> 16 & 0xffff, serial);
    let fields = Fields::from_pairs([
        ("reference", format!("INV-{serial}")),
        ("paynowreference", format!("{}", 30_000_000 + serial)),
        ("amount", "25.00".to_owned()),
        ("status", "Created".to_owned()),
        ("pollurl", format!("http://127.0.0.1:9/Interface/CheckPayment/?guid={guid}")),
    ]);
    let body = hash::sign(fields, "hash", Rule::Values, &Key::opaque(KEY)).encode();
    format!(
        "POST /paynow/shop HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The ceiling: hyper, the body read, 200.
async fn start_bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("nodelay");
            let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                request.into_body().collect().await?;
                Ok::<_, hyper::Error>(hyper::Response::new(http_body_util::Empty::<hyper::body::Bytes>::new()))
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

/// The daemon under test, in a process of its own, polling nothing during the rounds.
fn start_daemon(home: &Path) -> (Child, SocketAddr) {
    fs::write(home.join("shop.key"), KEY).expect("the key file");
    fs::set_permissions(home.join("shop.key"), fs::Permissions::from_mode(0o600)).expect("the key file's mode");
    let settings = r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[poll]
pending = ["1h until 1d"]
[log]
level = "warn"
[integrations.shop]
protocol = "paynow-zimbabwe"
id = "1201"
key_files = ["shop.key"]
currency = "USD"
notify = ["owner@shop.example"]
gateway = "http://127.0.0.1:9"
"#;
    fs::write(home.join("daemon.toml"), settings).expect("the configuration");
    let manager = UnixDatagram::bind(home.join("notify")).expect("a socket to be told on");
    manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a deadline");
    let daemon = Command::new(env!("CARGO_BIN_EXE_paynowd"))
        .args(["serve", "--config"])
        .arg(home.join("daemon.toml"))
        .env("NOTIFY_SOCKET", home.join("notify"))
        .stdin(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    let mut word = [0_u8; 1024];
    let length = manager.recv(&mut word).expect("the daemon says that it is ready");
    let said = String::from_utf8_lossy(&word[..length]).into_owned();
    let address = said.split([' ', ',', '\n']).find_map(|part| part.parse().ok()).expect("an address");
    (daemon, address)
}
