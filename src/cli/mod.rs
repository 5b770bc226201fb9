//! Floor 6: the front door. The only room that prints and exits.
//!
//! Data goes to standard output, everything else to standard error; a reader that leaves early is not an error.

mod check;
mod demo;
mod discrepancies;
mod exit;
mod expect;
mod explain;
mod export;
mod ledger;
mod mail;
mod output;
mod payments;
mod quarantine;
mod reconcile;
mod serve;
mod settlement;
mod simulate;
mod when;
mod whose;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Environment, Finding, Findings, LedgerConfig};
use crate::daemon;
use crate::ledger::{Ledger, LedgerError, Reader, Role};
use exit::Exit;

/// Receives Paynow's payment notifications, proves them, keeps them, confirms them, and tells the merchant.
#[derive(Debug, Parser)]
#[command(name = "paynowd", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    /// The configuration file; else `$PAYNOWD_CONFIG`, ./daemon.toml, /etc/paynowd/daemon.toml
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM.
    Serve,
    /// Check the configuration and say everything that is wrong with it.
    Check(check::Arguments),
    /// Look at payments.
    #[command(subcommand)]
    Payments(payments::Command),
    /// Look at what does not add up, and say that it is settled.
    #[command(subcommand)]
    Discrepancies(discrepancies::Command),
    /// Ask the gateways, compare with what is recorded and expected, and note what does not add up, as every night.
    /// Exits with 0 whatever is found: look at it with `discrepancies list`.
    Reconcile(reconcile::Arguments),
    /// Look at letters, send them again, or try the post office.
    #[command(subcommand)]
    Mail(mail::Command),
    /// Look at refused posts, take them in after all, or throw them away.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Say what should be paid: one order, or a file of them.
    #[command(subcommand)]
    Expect(expect::Command),
    /// Say what the bank or the portal paid out.
    #[command(subcommand)]
    Settlement(settlement::Command),
    /// Write what was paid for other books: tables, bank statements, plain-text accounting.
    Export(export::Arguments),
    /// Say why the hash of a message does not match, or sign one.
    Explain(explain::Arguments),
    /// Verify the ledger.
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Run the gateway's twin on this machine.
    Simulate(simulate::Arguments),
    /// Show the whole thing working: simulator, daemon, ledger and letters under ./paynowd-demo.
    Demo(demo::Arguments),
}

/// How a command ended: early, if it is an error, and it has said why.
type Ended = Result<Exit, Exit>;

/// Where a command finds the configuration.
#[derive(Debug)]
struct Place {
    file: Option<PathBuf>,
    environment: Environment,
}

impl Place {
    /// The configuration, and what is dubious about it.
    fn config(&self) -> Result<(Config, Vec<Finding>), Exit> {
        Config::load(self.file.as_deref(), &self.environment).map_err(misconfigured)
    }

    /// Of the configuration only what is said of the ledger.
    fn ledger(&self) -> Result<LedgerConfig, Exit> {
        LedgerConfig::load(self.file.as_deref(), &self.environment).map_err(misconfigured)
    }

    /// Does what only looks at the ledger.
    fn look<T>(&self, look: impl FnOnce(&Reader) -> Result<T, LedgerError>) -> Result<T, Exit> {
        let path = self.ledger()?.path;
        Reader::open(&path).and_then(|reader| look(&reader)).map_err(|error| unavailable(&path, &error))
    }
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let place = Place { file: arguments.config, environment: Environment::from_process() };
    let ended = match arguments.command {
        Command::Serve => serve::run(place),
        Command::Check(wanted) => check::run(&place, &wanted),
        Command::Payments(command) => payments::run(&place, command),
        Command::Discrepancies(command) => discrepancies::run(&place, command),
        Command::Reconcile(wanted) => reconcile::run(&place, &wanted),
        Command::Mail(command) => mail::run(&place, command),
        Command::Quarantine(command) => quarantine::run(&place, &command),
        Command::Expect(command) => expect::run(&place, &command),
        Command::Settlement(command) => settlement::run(&place, &command),
        Command::Export(wanted) => export::run(&place, &wanted),
        Command::Explain(wanted) => explain::run(&place, &wanted),
        Command::Ledger(command) => ledger::run(&place, &command),
        Command::Simulate(wanted) => simulate::run(&wanted),
        Command::Demo(wanted) => demo::run(&wanted),
    };
    let (Ok(exit) | Err(exit)) = ended;
    if exit == Exit::Done && !output::is_whole() { Exit::Unavailable } else { exit }.into()
}

/// Says what is wrong with the configuration.
fn misconfigured(findings: Findings) -> Exit {
    for finding in findings.0 {
        output::complain(&finding);
    }
    Exit::Configuration
}

/// Says why the ledger at `path` cannot be had.
fn unavailable(path: &Path, error: &LedgerError) -> Exit {
    output::complain(&in_words(path, error));
    Exit::Unavailable
}

/// Why the ledger at `path` cannot be had, with the path once.
fn in_words(path: &Path, error: &LedgerError) -> String {
    if error.names_file() { error.to_string() } else { format!("{}: {error}", path.display()) }
}

/// The ledger for what the merchant's own books say, which they may say before the daemon first starts. Says where one
/// is begun: that may be a place nobody meant.
fn ledger_for_books(config: &Config) -> Result<Ledger, LedgerError> {
    let is_new = reader_for_books(config)?.is_none();
    let ledger = Ledger::open(&daemon::ledger_settings(config), Role::Command)?;
    if is_new {
        let path = config.ledger.path.display();
        output::complain(&format!(
            "there was no ledger at {path}, so a new one is begun; if there is one elsewhere, ledger.path means another file"
        ));
    }
    Ok(ledger)
}

/// The ledger to compare the merchant's own books with, if there is one yet.
fn reader_for_books(config: &Config) -> Result<Option<Reader>, LedgerError> {
    match Reader::open(&config.ledger.path) {
        Ok(reader) => Ok(Some(reader)),
        Err(LedgerError::Missing) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same, for who changes nothing. Says if there is none.
fn rehearsal_for_books(config: &Config) -> Result<Option<Reader>, LedgerError> {
    let reader = reader_for_books(config)?;
    if reader.is_none() {
        let path = config.ledger.path.display();
        output::complain(&format!(
            "there is no ledger yet at {path}, so everything is new; if there is one elsewhere, ledger.path means another file"
        ));
    }
    Ok(reader)
}

/// A runtime for a command that waits for something.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Exit> {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => Ok(runtime.block_on(work)),
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            Err(Exit::Bug)
        }
    }
}
