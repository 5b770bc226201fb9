//! The built daemon in a directory of its own, told from outside that it polls nobody during a round unless a bench
//! wants it to.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::child::Running;
use super::message::{KEY, NOWHERE};

/// What differs from the usual daemon.
#[derive(Default)]
pub struct Wishes {
    /// Lines of daemon.toml: section, key, value.
    pub lines: Vec<(&'static str, &'static str, String)>,
    /// Its environment.
    pub environment: Vec<(&'static str, String)>,
    /// The directory, with whatever ledger is in it, if it is not to be a new one.
    pub home: Option<TempDir>,
}

/// A daemon at work.
pub struct House {
    /// Where posts arrive.
    pub public: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    /// How long it took until it said that it was ready.
    pub started_in: Duration,
    daemon: Running,
    home: TempDir,
}

impl House {
    /// Everything up and ready.
    pub fn start(wishes: Wishes) -> Self {
        let home = wishes.home.unwrap_or_else(empty);
        write(&home.path().join("shop.key"), KEY);
        write(&home.path().join("daemon.toml"), &settings(&wishes.lines));
        let _ = fs::remove_file(home.path().join("notify"));
        let manager = UnixDatagram::bind(home.path().join("notify")).expect("a socket to be told on");
        manager.set_read_timeout(Some(Duration::from_mins(1))).expect("a deadline");
        let start = Instant::now();
        let daemon = paynowd(home.path())
            .arg("serve")
            .env("NOTIFY_SOCKET", home.path().join("notify"))
            .envs(wishes.environment)
            .spawn()
            .expect("the daemon starts");
        let daemon = Running(daemon);
        let mut word = [0_u8; 1024];
        let length = manager.recv(&mut word).expect("the daemon says that it is ready");
        let started_in = start.elapsed();
        let said = String::from_utf8_lossy(&word[..length]).into_owned();
        let mut addresses = said.split([' ', ',', ';', '\n']).filter_map(|part| part.parse::<SocketAddr>().ok());
        let public = addresses.next().expect("where posts arrive");
        let admin = addresses.next().expect("where operators look");
        Self { public, admin, started_in, daemon, home }
    }

    pub fn pid(&self) -> u32 {
        self.daemon.0.id()
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// SIGTERM; the directory stays.
    pub fn stop(mut self) -> TempDir {
        let pid = rustix::process::Pid::from_child(&self.daemon.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the daemon hears us");
        self.daemon.0.wait().expect("the daemon ends");
        self.home
    }
}

/// The built binary with the configuration in `home`, and nothing of our own environment.
pub fn paynowd(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paynowd"));
    command.current_dir(home).env_clear().stdin(Stdio::null()).arg("-c").arg(home.join("daemon.toml"));
    command
}

/// A directory that vanishes with whoever holds it. On the disk of the build, as `/tmp` may be none.
pub fn empty() -> TempDir {
    tempfile::Builder::new().prefix("bench").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn settings(lines: &[(&'static str, &'static str, String)]) -> String {
    let mut sections: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    let usual = [
        ("server", "listen", "\"127.0.0.1:0\""),
        ("admin", "listen", "\"127.0.0.1:0\""),
        ("poll", "confirm", "[\"1h\"]"),
        ("poll", "pending", "[\"1h until 1d\"]"),
        ("log", "level", "\"warn\""),
        ("integrations.shop", "protocol", "\"paynow-zimbabwe\""),
        ("integrations.shop", "id", "\"1201\""),
        ("integrations.shop", "key_files", "[\"shop.key\"]"),
        ("integrations.shop", "currency", "\"USD\""),
        ("integrations.shop", "notify", "[\"owner@shop.example\"]"),
    ];
    let usual = usual.into_iter().map(|(section, key, value)| (section, key, value.to_owned()));
    let gateway = ("integrations.shop", "gateway", format!("\"{NOWHERE}\""));
    for (section, key, value) in usual.chain([gateway]).chain(lines.iter().cloned()) {
        sections.entry(section).or_default().insert(key, value);
    }
    sections.into_iter().fold(String::new(), |text, (section, values)| {
        values.into_iter().fold(format!("{text}[{section}]\n"), |text, (key, value)| format!("{text}{key} = {value}\n"))
    })
}

/// Writes a file that only its owner may read.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file of ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}
