//! What the demo is played on: a directory, simulated gateways, the daemon as a child process, and its ledger.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::UnixDatagram;

use crate::domain::Payment;
use crate::ledger::{Filter, LedgerError, Reader, Story};
use crate::protocol::Key;
use crate::simulator::{Simulator, SimulatorError, SimulatorSettings, poland};

/// A key for the shop and one for its button: made up, and only ever good against the simulator.
const SHOP_KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const BUTTON_KEY: &str = "5a1d0e1c-7b6f-4c0a-9f0e-2d4b8c6a1e35";

/// The sandbox credentials that Paynow Poland's documentation prints: the Api-Key and the Signature-Key.
const POLISH_KEYS: (&str, &str) = ("97a55694-5478-43b5-b406-fb49ebfdd2b5", "b305b996-bca5-4404-a0b7-2ccea3d2b64b");

/// Written into the directory, so that only a demo's own directory is ever emptied.
const MARK: &str = "made-by-paynowd-demo";

/// How long the daemon may take to come up or go down.
const LIFE: Duration = Duration::from_secs(10);

/// How long anything the script waits for may take.
const SCENE: Duration = Duration::from_secs(8);

/// How often the script looks whether it has happened.
const LOOK: Duration = Duration::from_millis(20);

/// Why the demo could not be played, or was not played as written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("cannot {doing}")]
    System { doing: String, source: std::io::Error },
    #[error("{0}: not a demo's directory and not empty; name another with --directory")]
    NotOurs(PathBuf),
    #[error("the daemon did not come up: {0}")]
    NoDaemon(String),
    #[error("the simulated gateway refused")]
    Simulator(#[from] SimulatorError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Unexpected(String),
}

impl Trouble {
    pub(super) fn of(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}

/// A letter in the directory.
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) file: PathBuf,
}

/// Everything the script plays with.
pub(super) struct Stage {
    pub(super) gateway: Simulator,
    pub(super) poland: poland::Simulator,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) ledger: Reader,
    pub(super) ledger_file: PathBuf,
    mail: PathBuf,
    daemon: Child,
}

impl Stage {
    /// Empties the directory, starts the simulators and the daemon, and waits until all are up.
    pub(super) async fn set(directory: &Path) -> Result<Self, Trouble> {
        clear(directory)?;
        let gateway = Simulator::start(SimulatorSettings {
            button_key: Key::opaque(BUTTON_KEY),
            time_factor: 20,
            ..SimulatorSettings::new("1201", Key::opaque(SHOP_KEY))
        })
        .await?;
        let poland = poland::Simulator::start(poland::SimulatorSettings {
            time_factor: 20,
            ..poland::SimulatorSettings::new(POLISH_KEYS.0, Key::opaque(POLISH_KEYS.1))
        })
        .await?;
        let keys = [
            ("shop.key", SHOP_KEY),
            ("button.key", BUTTON_KEY),
            ("poland.api.key", POLISH_KEYS.0),
            ("poland.key", POLISH_KEYS.1),
        ];
        for (name, key) in keys {
            write(&directory.join(name), key)?;
        }
        let settings = directory.join("daemon.toml");
        write(&settings, &configuration(gateway.origin(), poland.origin()))?;
        let (daemon, public, admin) = start(directory, &settings).await?;
        let ledger_file = directory.join("paynowd.db");
        let ledger = Reader::open(&ledger_file)?;
        Ok(Self { gateway, poland, public, admin, ledger, ledger_file, mail: directory.join("mail"), daemon })
    }

    /// The result URL of an integration.
    pub(super) fn url(&self, integration: &str) -> String {
        format!("http://{}/paynow/{integration}", self.public)
    }

    /// Waits until the payment of this reference is as `wanted`, and returns its story.
    pub(super) async fn wait_for(&self, reference: &str, wanted: impl Fn(&Story) -> bool) -> Result<Story, Trouble> {
        let until = Instant::now() + SCENE;
        loop {
            let mut stories = self.ledger.stories(reference, None)?;
            let so_far = match stories.pop() {
                Some(story) if wanted(&story) => return Ok(story),
                Some(story) => {
                    let payment = &story.known.payment;
                    format!("{} ({})", payment.status, payment.trust.code())
                }
                None => "not there".to_owned(),
            };
            if Instant::now() > until {
                return Err(Trouble::Unexpected(format!("{reference} is {so_far}, which the script does not imply")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every payment in the ledger, oldest first.
    pub(super) fn payments(&self) -> Result<Vec<Payment>, Trouble> {
        let mut all = Vec::new();
        self.ledger.payments(&Filter::default(), |payment| {
            all.push(payment);
            true
        })?;
        all.reverse();
        Ok(all)
    }

    /// Waits until so many letters have been written.
    pub(super) async fn wait_for_letters(&self, count: usize) -> Result<(), Trouble> {
        let until = Instant::now() + SCENE;
        while self.letters()?.len() < count && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The letters so far, oldest first.
    pub(super) fn letters(&self) -> Result<Vec<Letter>, Trouble> {
        let Ok(entries) = fs::read_dir(&self.mail) else { return Ok(Vec::new()) };
        let mut letters = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Trouble::of("read the mail directory"))?;
            let file = entry.path();
            if file.extension().is_none_or(|extension| extension != "eml") {
                continue;
            }
            let text = fs::read_to_string(&file).map_err(Trouble::of(format!("read {}", file.display())))?;
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("?").to_owned();
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            letters.push((written.map_err(Trouble::of("read a letter's age"))?, Letter { subject, file }));
        }
        letters.sort_by_key(|(written, _)| *written);
        Ok(letters.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Ends the daemon in good order, then the simulators.
    pub(super) async fn strike(mut self) -> Result<(), Trouble> {
        if let Some(daemon) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed()) {
            rustix::process::kill_process(daemon, rustix::process::Signal::TERM)
                .map_err(|error| Trouble::of("end the daemon")(error.into()))?;
        }
        let until = Instant::now() + LIFE;
        let ended = loop {
            match self.daemon.try_wait().map_err(Trouble::of("wait for the daemon"))? {
                Some(ended) => break ended,
                None if Instant::now() > until => {
                    self.daemon.kill().map_err(Trouble::of("end the daemon"))?;
                    return Err(Trouble::Unexpected("the daemon did not end when asked to".into()));
                }
                None => tokio::time::sleep(LOOK).await,
            }
        };
        self.gateway.stop().await;
        self.poland.stop().await;
        if ended.success() { Ok(()) } else { Err(Trouble::Unexpected(format!("the daemon ended with {ended}"))) }
    }
}

/// Makes an empty directory, out of a former demo's if there is one.
fn clear(directory: &Path) -> Result<(), Trouble> {
    let mark = directory.join(MARK);
    let occupied = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !mark.exists() {
        return Err(Trouble::NotOurs(directory.to_owned()));
    }
    if occupied {
        fs::remove_dir_all(directory).map_err(Trouble::of(format!("empty {}", directory.display())))?;
    }
    fs::create_dir_all(directory).map_err(Trouble::of(format!("make {}", directory.display())))?;
    write(&mark, "This directory belongs to `paynowd demo`, which empties it at every start.\n")
}

/// Writes a file that only its owner may read.
fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(Trouble::of(format!("write {}", file.display())))
}

/// The demo's configuration: like a shop's, in a hurry.
fn configuration(gateway: &str, poland: &str) -> String {
    format!(
        r#"# Written by `paynowd demo`. The shipped daemon.toml explains every key.
[server]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[poll]
confirm = ["0s", "200ms", "500ms", "1s"]
pending = ["300ms until 5m"]
gap = "100ms"

[mail]
from = "Paynow ledger <ledger@shop.example>"

[integrations.shop]
protocol = "paynow-zimbabwe"
id = "1201"
key_files = ["shop.key"]
currency = "USD"
notify = ["owner@shop.example"]
gateway = "{gateway}"

[integrations.button]
protocol = "paynow-zimbabwe-button"
key_files = ["button.key"]
currency = "USD"
notify = ["owner@shop.example"]

[integrations.poland]
protocol = "paynow-poland"
api_key_file = "poland.api.key"
key_files = ["poland.key"]
currency = "PLN"
notify = ["owner@shop.example"]
gateway = "{poland}"
"#
    )
}

/// Starts the daemon and waits, as systemd would, until it says that it is ready and where.
async fn start(directory: &Path, settings: &Path) -> Result<(Child, SocketAddr, SocketAddr), Trouble> {
    let socket = std::env::temp_dir().join(format!("paynowd-demo-{}.sock", std::process::id()));
    let _ = fs::remove_file(&socket);
    let manager = UnixDatagram::bind(&socket).map_err(Trouble::of("listen for the daemon's word"))?;
    let log_file = directory.join("daemon.log");
    let log = File::create(&log_file).map_err(Trouble::of("write the daemon's log"))?;
    let program = std::env::current_exe().map_err(Trouble::of("find this program"))?;
    let daemon = Command::new(program)
        .args(["serve", "--config"])
        .arg(settings)
        .env("NOTIFY_SOCKET", &socket)
        .env_remove("LISTEN_FDS")
        .env_remove("STATE_DIRECTORY")
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(Trouble::of("start the daemon"))?;
    let mut word = [0_u8; 4096];
    let heard = tokio::time::timeout(LIFE, manager.recv(&mut word)).await;
    let _ = fs::remove_file(&socket);
    let said = match heard {
        Ok(Ok(length)) => String::from_utf8_lossy(word.get(..length).unwrap_or_default()).into_owned(),
        Ok(Err(source)) => return Err(Trouble::of("hear the daemon's word")(source)),
        Err(_) => String::new(),
    };
    let mut addresses = said.split([' ', ',', ';', '\n']).filter_map(|part| part.parse::<SocketAddr>().ok());
    match (addresses.next(), addresses.next()) {
        (Some(public), Some(admin)) => Ok((daemon, public, admin)),
        _ => Err(Trouble::NoDaemon(fs::read_to_string(&log_file).unwrap_or_default())),
    }
}
