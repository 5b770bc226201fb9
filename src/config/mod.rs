//! Floor 4: `daemon.toml` and the environment over it → one typed, checked [`Config`], or everything that is wrong with
//! it at once. Reads files and nothing else: it opens no socket, no ledger, and never writes.
//!
//! The way through: [`Environment`] says where to look, `document` merges (figment) and remembers where each value was
//! written, `reader` walks section by section and notes findings instead of stopping, and one file a section says which
//! keys there are, what they default to and how far they may go. `daemon.toml` at the root of the repository explains
//! every key to whoever runs the daemon; a test holds it and this room together.

mod document;
mod environment;
mod finding;
mod integration;
mod ledger;
mod lines;
mod log;
mod mail;
mod poll;
mod reader;
mod reconcile;
mod secrets;
mod server;
mod spelling;
mod units;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_places;
#[cfg(test)]
mod tests_secrets;
#[cfg(test)]
mod tests_shipped;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use finding::{Finding, Findings, Level};
pub use integration::IntegrationConfig;
pub use ledger::LedgerConfig;
pub use log::{LogConfig, LogFormat};
pub use mail::{MailConfig, SmtpConfig, SmtpSecurity, Transport};
pub use poll::PollConfig;
pub use reconcile::ReconcileConfig;
pub use secrets::KeyFile;
pub use server::{AdminConfig, ServerConfig};
pub use units::duration;

use document::Document;
use environment::{Location, beside};
use secrets::Vault;

/// Everything the daemon was told. The sum of what its rooms need.
#[derive(Debug)]
pub struct Config {
    /// The file it came from; absolute wherever the working directory is known.
    pub file: PathBuf,
    /// Where posts arrive, and how many.
    pub server: ServerConfig,
    /// Where operators look.
    pub admin: AdminConfig,
    /// Where everything is kept.
    pub ledger: LedgerConfig,
    /// How gateways are asked.
    pub poll: PollConfig,
    /// When the nightly run is.
    pub reconcile: ReconcileConfig,
    /// How letters leave.
    pub mail: MailConfig,
    /// What is written to the journal.
    pub log: LogConfig,
    /// The Paynow accounts, by name in alphabetical order; at least one.
    pub integrations: Vec<IntegrationConfig>,
}

impl Config {
    /// Reads the configuration: the file `explicit`, else `$PAYNOWD_CONFIG`, `./daemon.toml` or
    /// `/etc/paynowd/daemon.toml`, and the variables over it. The second value holds warnings only.
    ///
    /// # Errors
    /// The configuration cannot be used. The caller shows every finding and exits with 78; on a reload it keeps what
    /// it has.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<(Self, Vec<Finding>), Findings> {
        let (location, document) = open(explicit, environment)?;
        let config = Self::read(&document, &location, environment);
        let findings = document.into_findings();
        match config {
            Some(config) if !findings.has_errors() => Ok((config, findings.0)),
            _ => Err(findings),
        }
    }

    /// Reads every section. Where a value had to be invented there is a finding, and nobody gets to see it.
    fn read(document: &Document, location: &Location, environment: &Environment) -> Option<Self> {
        let beside = beside(&location.path);
        let state = environment.state(&location.path);
        let vault = Vault::new(environment.credentials(), beside);
        let mut root = document.root();
        let server = ServerConfig::read(root.subsection("server"));
        let admin = AdminConfig::read(root.subsection("admin"), &vault, server.listen);
        let ledger = LedgerConfig::read(root.subsection("ledger"), &state);
        let poll = PollConfig::read(root.subsection("poll"));
        let reconcile = ReconcileConfig::read(root.subsection("reconcile"));
        let mail = MailConfig::read(root.subsection("mail"), &vault, &state);
        let log = LogConfig::read(root.subsection("log"));
        let sections = root.subsection("integrations").subsections();
        if sections.is_empty() {
            root.error("integrations", "no integration is configured: add a section [integrations.NAME]");
        }
        let read = |section| IntegrationConfig::read(section, &vault, &poll.schedule, server.max_fields);
        let integrations = sections.into_iter().filter_map(read).collect();
        root.finish();
        let (file, reconcile) = (location.path.clone(), reconcile?);
        Some(Self { file, server, admin, ledger, poll, reconcile, mail, log, integrations })
    }
}

impl LedgerConfig {
    /// Reads `[ledger]` alone, for commands that only look: whoever runs them may not be allowed to read the keys.
    /// What is wrong elsewhere in the file does not matter here.
    ///
    /// # Errors
    /// There is no configuration, it is not TOML, or its `[ledger]` cannot be used. The caller shows every finding
    /// and exits with 78.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Self, Findings> {
        let (location, document) = open(explicit, environment)?;
        let ledger = Self::read(document.root().subsection("ledger"), &environment.state(&location.path));
        let findings = document.into_findings();
        if findings.has_errors() { Err(findings) } else { Ok(ledger) }
    }
}

impl ReconcileConfig {
    /// Reads `[reconcile]` alone, for the same commands.
    ///
    /// # Errors
    /// There is no configuration, it is not TOML, or its `[reconcile]` cannot be used. The caller shows every finding
    /// and exits with 78.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Self, Findings> {
        let (_, document) = open(explicit, environment)?;
        let reconcile = Self::read(document.root().subsection("reconcile"));
        let findings = document.into_findings();
        reconcile.filter(|_| !findings.has_errors()).ok_or(findings)
    }
}

fn open(explicit: Option<&Path>, environment: &Environment) -> Result<(Location, Document), Findings> {
    let location = environment.locate(explicit)?;
    let document = Document::open(&location, environment)?;
    Ok((location, document))
}
