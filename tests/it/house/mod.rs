//! One house per test: a directory, a gateway, and the daemon as a child process with systemd played around it.

pub mod crowd;
pub mod dice;
pub mod http;
pub mod letters;
pub mod post_office;
pub mod settings;
pub mod slow_gateway;
mod views;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use paynowd::protocol::Key;
use paynowd::simulator::{PostSpec, SimulatedPayment, Simulator, SimulatorSettings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;
use tokio::net::UnixDatagram;

pub use settings::Settings;

/// The shop's key and its button's: made up, and only ever good against the simulator.
pub const SHOP_KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
pub const BUTTON_KEY: &str = "5a1d0e1c-7b6f-4c0a-9f0e-2d4b8c6a1e35";

/// How long anything a test waits for may take, on a machine that has other things to do.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How often a test looks whether it has happened.
const LOOK: Duration = Duration::from_millis(15);

/// A daemon at work, and everything around it.
pub struct House {
    pub gateway: Simulator,
    /// Where posts arrive.
    pub public: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    daemon: Option<Child>,
    manager: UnixDatagram,
    environment: Vec<(String, String)>,
    /// What only the daemon finds in its environment.
    pub daemon_environment: Vec<(String, String)>,
    directory: TempDir,
}

impl House {
    /// Everything up and ready.
    pub async fn start(settings: Settings) -> Self {
        let mut house = Self::build(settings).await;
        house.open().await;
        house
    }

    /// Everything but the daemon.
    pub async fn build(settings: Settings) -> Self {
        let gateway = Simulator::start(SimulatorSettings {
            button_key: Key::opaque(BUTTON_KEY),
            time_factor: 50,
            ..SimulatorSettings::new("1201", Key::opaque(SHOP_KEY))
        })
        .await
        .unwrap();
        let directory = tempfile::Builder::new().prefix("pd").tempdir().unwrap();
        let manager = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        let (text, files, environment) = settings.finish(gateway.origin());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let house = Self {
            gateway,
            public: nowhere,
            admin: nowhere,
            daemon: None,
            manager,
            environment,
            daemon_environment: Vec::new(),
            directory,
        };
        house.write("daemon.toml", &text);
        for (name, content) in files {
            house.write(&name, &content);
        }
        house
    }

    /// Starts the daemon and waits, as systemd would, until it says that it is ready and where.
    pub async fn open(&mut self) {
        assert!(self.daemon.is_none(), "the daemon runs already");
        self.spawn();
        let said = self.hear("READY=1").await;
        let mut addresses = said.split([' ', ',', ';', '\n']).filter_map(|part| part.parse::<SocketAddr>().ok());
        (self.public, self.admin) = (addresses.next().unwrap(), addresses.next().unwrap());
    }

    /// Starts the daemon, which will not get far.
    pub async fn serve_in_vain(&mut self) -> ExitStatus {
        self.spawn();
        self.ended().await
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("daemon.log")).unwrap();
        let mut command = self.command(&["serve"]);
        command.envs(self.daemon_environment.iter().map(|(n, v)| (n, v)));
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until the daemon tells its service manager `word`, and returns the whole message.
    pub async fn hear(&mut self, word: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut buffer = [0_u8; 4096];
        loop {
            if let Ok(length) = tokio::time::timeout(LOOK, self.manager.recv(&mut buffer)).await {
                let said = String::from_utf8_lossy(&buffer[..length.unwrap()]).into_owned();
                if said.lines().any(|line| line == word) {
                    return said;
                }
                continue;
            }
            let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().unwrap());
            assert!(ended.is_none(), "the daemon ended ({ended:?}):\n{}", self.log());
            assert!(Instant::now() < until, "the daemon never said {word}:\n{}", self.log());
        }
    }

    /// SIGTERM; the daemon must end in good order.
    pub async fn stop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        let ended = self.ended().await;
        assert_eq!(ended.code(), Some(0), "{}", self.log());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// SIGKILL, then the same directory again.
    pub async fn restart(&mut self) {
        self.kill();
        self.open().await;
    }

    /// SIGHUP; returns once the configuration has been read again, for better or worse.
    pub async fn reload(&mut self) {
        self.signal(rustix::process::Signal::HUP);
        self.hear("RELOADING=1").await;
        self.hear("READY=1").await;
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").id()
    }

    /// Waits until the daemon has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let daemon = self.daemon.as_mut().expect("a running daemon");
        let end = pidfd_open(Pid::from_child(daemon), PidfdFlags::empty()).unwrap();
        let deadline = Timespec::try_from(DEADLINE).unwrap();
        let ended = move || poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&deadline)).unwrap();
        let ended = tokio::task::spawn_blocking(ended).await.unwrap();
        assert_eq!(ended, 1, "the daemon does not end:\n{}", self.log());
        self.daemon.take().unwrap().wait().unwrap()
    }

    /// Runs a command on the house's configuration to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if end.recv_timeout(DEADLINE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        watchdog.join().unwrap();
        output
    }

    /// The same; it must end well. Returns what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = paynowd(self.directory.path());
        command.arg("-c").arg(self.path("daemon.toml")).args(arguments);
        command.env("NOTIFY_SOCKET", self.path("notify")).envs(self.environment.iter().map(|(n, v)| (n, v)));
        command
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    /// The result URL of an integration.
    pub fn url(&self, integration: &str) -> String {
        format!("http://{}/paynow/{integration}", self.public)
    }

    /// A payment begun at the gateway whose updates go to the shop.
    pub fn begin(&self, reference: &str, amount: &str) -> SimulatedPayment {
        self.gateway.initiate(reference, amount, Some(&self.url("shop")))
    }

    /// Begun, then paid and posted; returns once the post was answered 200.
    pub async fn pay(&self, reference: &str, amount: &str) -> SimulatedPayment {
        let payment = self.begin(reference, amount);
        assert_eq!(self.gateway.move_to(&payment.guid, "Paid").await.unwrap().status(), Some(200));
        payment
    }

    /// Posts exactly this about a payment; returns the status code.
    pub async fn post(&self, payment: &SimulatedPayment, spec: &PostSpec) -> u16 {
        self.gateway.post(&payment.guid, spec).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("---- daemon.log, its end\n{}\n----", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// The built binary, in `home`, with nothing of our own environment. `PAYNOWD_TEST_BINARY` names another one: a daemon
/// with a flaw, which must not pass for a sound one.
pub fn paynowd(home: &Path) -> Command {
    let binary = std::env::var_os("PAYNOWD_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_paynowd").into());
    let mut command = Command::new(binary);
    command.current_dir(home).env_clear().stdin(Stdio::null());
    command
}

/// Writes a file that only its owner may read.
pub fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
