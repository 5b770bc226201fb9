//! `paynowd settlement import`: what a bank or the gateway's portal says was paid out, held against what was paid.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use chrono::Utc;
use clap::{Args, Subcommand};

use super::exit::Exit;
use super::{Ended, Place, block_on, in_words, ledger_for_books, output, rehearsal_for_books};
use crate::books::{BadSheet, NoRow, SETTLEMENT_MAP, SettlementMap, Settlements};
use crate::config::Config;
use crate::daemon;
use crate::domain::Settlement;
use crate::ledger::{LedgerError, Matched, Settled};

/// How many lines share one commit.
const TOGETHER: usize = 256;
/// How large a map may be, in bytes.
const MAP: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Import a file of payouts. Lines that are there already change nothing, or correct what has no payment yet.
    #[command(after_long_help = map_help())]
    Import(ImportArguments),
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The file of the bank or the portal, as CSV; - for standard input.
    file: PathBuf,
    /// What its columns mean; --help shows an example.
    #[arg(long, value_name = "MAP.TOML")]
    map: PathBuf,
    /// The integration whose money it is; wins over the map.
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
    /// Say what would be imported and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of the lines.
#[derive(Default)]
struct Sum {
    new: u64,
    known: u64,
    corrected: u64,
    bad: u64,
}

fn map_help() -> String {
    format!(
        "A line is matched to the payment of its integration with your or Paynow's reference, its currency and gross \
         amount, paid on that day or up to ten days before. Lines without a payment are kept and matched later;\n\
         where columns.line tells lines apart, they are corrected by a later file that says something else of them.\n\
         Exits with 1 if a line was bad.\n\nA map:\n\n{SETTLEMENT_MAP}"
    )
}

pub(super) fn run(place: &Place, command: &Command) -> Ended {
    let Command::Import(wanted) = command;
    let (config, _) = place.config()?;
    let sum = import(&config, wanted).map_err(|(exit, trouble)| {
        output::complain(&trouble);
        exit
    })?;
    Ok(if sum.bad > 0 { Exit::No } else { Exit::Done })
}

/// Why nothing, or not all, was imported.
type Trouble = (Exit, String);

fn import(config: &Config, wanted: &ImportArguments) -> Result<Sum, Trouble> {
    let map = map(wanted)?;
    let named = |trouble: &dyn std::fmt::Display| format!("{}: {trouble}", wanted.file.display());
    let input: Box<dyn Read> = if wanted.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&wanted.file).map_err(|error| (Exit::Unavailable, named(&error)))?)
    };
    let desk = daemon::order_desk(config);
    if let Some(name) = &wanted.integration {
        desk.account(name).map_err(|fault| (Exit::Usage, format!("--integration: {}", fault.reason)))?;
    }
    let lines = Settlements::open(input, &map, &desk, Utc::now()).map_err(|error| {
        (if matches!(error, BadSheet::File(_)) { Exit::Unavailable } else { Exit::No }, named(&error))
    })?;
    let stored = |error: LedgerError| (Exit::Unavailable, in_words(&config.ledger.path, &error));
    let mut sum = Sum::default();
    if wanted.dry_run {
        let reader = rehearsal_for_books(config).map_err(stored)?;
        each(lines, wanted, &mut sum, |lines| {
            lines.iter().map(|line| reader.as_ref().map_or(Ok(Settled::New), |it| it.would_settle(line))).collect()
        })
        .map_err(|failure| failure.unwrap_or_else(stored))?;
        output::line(format!("{} (nothing was changed)", sum.in_words()));
        return Ok(sum);
    }
    let ledger = ledger_for_books(config).map_err(stored)?;
    let written = |result: Result<Result<_, LedgerError>, Exit>| result.unwrap_or(Err(LedgerError::Closed));
    let imported = each(lines, wanted, &mut sum, |lines| written(block_on(ledger.settle(lines, Utc::now()))));
    // What was taken before a failure is matched all the same.
    let matched = block_on(ledger.match_settlements(config.reconcile.timezone)).unwrap_or(Err(LedgerError::Closed));
    ledger.close();
    imported.map_err(|failure| failure.unwrap_or_else(stored))?;
    let Matched { now, waiting } = matched.map_err(stored)?;
    output::line(format!("{}; {now} matched, {waiting} without a payment so far", sum.in_words()));
    Ok(sum)
}

/// Why reading or storing stopped.
enum Failure {
    File(Trouble),
    Ledger(LedgerError),
}

impl Failure {
    fn unwrap_or_else(self, stored: impl FnOnce(LedgerError) -> Trouble) -> Trouble {
        match self {
            Self::File(trouble) => trouble,
            Self::Ledger(error) => stored(error),
        }
    }
}

/// Hands the good lines to `put` some at a time, which says what becomes of each; tells of the bad ones.
fn each(
    lines: Settlements<'_, Box<dyn Read>>,
    wanted: &ImportArguments,
    sum: &mut Sum,
    mut put: impl FnMut(Vec<Settlement>) -> Result<Vec<Settled>, LedgerError>,
) -> Result<(), Failure> {
    let mut waiting = Vec::with_capacity(TOGETHER);
    let mut put = |waiting: &mut Vec<Settlement>, sum: &mut Sum| {
        if !waiting.is_empty() {
            for settled in put(std::mem::take(waiting)).map_err(Failure::Ledger)? {
                *match settled {
                    Settled::New => &mut sum.new,
                    Settled::Corrected => &mut sum.corrected,
                    Settled::Known => &mut sum.known,
                } += 1;
            }
        }
        Ok(())
    };
    for line in lines {
        match line {
            Ok(line) => waiting.push(line),
            Err(NoRow::Bad(bad)) => {
                sum.bad += 1;
                output::complain(&crate::mailer::shown(&bad.to_string()));
            }
            Err(NoRow::File(error)) => {
                put(&mut waiting, sum)?;
                let trouble = format!("{}: cannot be read on: {error}", wanted.file.display());
                return Err(Failure::File((Exit::Unavailable, trouble)));
            }
        }
        if waiting.len() == TOGETHER {
            put(&mut waiting, sum)?;
        }
    }
    put(&mut waiting, sum)?;
    if sum.new + sum.known + sum.corrected + sum.bad == 0 {
        output::complain(&format!("{}: there is no row under the heading", wanted.file.display()));
    }
    Ok(())
}

fn map(wanted: &ImportArguments) -> Result<SettlementMap, Trouble> {
    let named = |trouble: &dyn std::fmt::Display| format!("{}: {trouble}", wanted.map.display());
    let mut text = String::new();
    let file = File::open(&wanted.map).map_err(|error| (Exit::Unavailable, named(&error)))?;
    file.take(MAP).read_to_string(&mut text).map_err(|error| (Exit::Unavailable, named(&error)))?;
    SettlementMap::read(&text, wanted.integration.as_deref()).map_err(|reason| (Exit::No, named(&reason)))
}

impl Sum {
    fn in_words(&self) -> String {
        let Self { new, known, corrected, bad } = self;
        let corrected = if *corrected > 0 { format!(", {corrected} corrected") } else { String::new() };
        let bad = match bad {
            0 => String::new(),
            1 => ", 1 bad line".into(),
            bad => format!(", {bad} bad lines"),
        };
        format!("{new} new, {known} known{corrected}{bad}")
    }
}
