//! `paynowd expect import`: a file of orders, however long. Rows go to the ledger by the hundred, so that they share
//! the wait for the disk; the good ones are kept, the bad ones are told.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::Args;
use serde_json::json;

use super::super::exit::Exit;
use super::super::{Ended, block_on, ledger_for_books, output, rehearsal_for_books, unavailable};
use super::{code, in_words, named, of_outcome, on_conflict};
use crate::books::{BadSheet, NoRow, Orders};
use crate::config::Config;
use crate::daemon;
use crate::domain::{Expectation, Terms};
use crate::ledger::{Admission, Booking, Expected, Ledger, LedgerError, OnConflict, Reader};

/// How many orders share one commit: enough to make fsync cheap, few enough to let the daemon's posts in between.
const TOGETHER: usize = 256;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_long_help = "\
The first line names the columns, in any order and letter case, separated by commas, semicolons or tabs:
  integration, reference, amount, currency, created
and, where you have them:
  due, poll_url, merchanttrace
Amounts are written 1204.50. Times are 2026-03-12, 2026-03-12 14:05 (by reconcile.timezone), or RFC 3339.
Exits with 1 if a row was bad, or if other money is expected already under its reference.")]
pub(in crate::cli) struct Arguments {
    /// The file; - for standard input.
    file: PathBuf,
    /// Say what would happen and change nothing. Rows are compared with the ledger, not with each other.
    #[arg(long)]
    dry_run: bool,
    /// Where other money is expected under a reference, expect what the file says instead.
    #[arg(long)]
    replace: bool,
    /// One JSON object for each row, and one for the sum.
    #[arg(long)]
    json: bool,
}

/// What became of the rows.
#[derive(Default)]
struct Sum {
    new: u64,
    known: u64,
    replaced: u64,
    conflicts: u64,
    bad: u64,
}

/// Where orders go.
enum Ear {
    /// Into the ledger.
    Ledger(Ledger),
    /// Nowhere: they are compared with what the ledger has, if there is one.
    Reader(Option<Reader>),
}

/// An order on its way, with its line in the file.
type Line = (u64, Expectation, Arc<Terms>);

pub(super) fn run(config: &Config, wanted: &Arguments) -> Ended {
    let input: Box<dyn Read> = if wanted.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&wanted.file).map_err(|error| {
            output::complain(&format!("{}: {error}", wanted.file.display()));
            Exit::Unavailable
        })?)
    };
    let desk = daemon::order_desk(config);
    let orders = Orders::open(input, &desk, Utc::now()).map_err(|error| {
        output::complain(&format!("{}: {error}", wanted.file.display()));
        if matches!(error, BadSheet::File(_)) { Exit::Unavailable } else { Exit::No }
    })?;
    if !orders.unknown_columns().is_empty() {
        let names = crate::mailer::shown(&orders.unknown_columns().join(", "));
        output::complain(&format!("columns that mean nothing here: {names}"));
    }
    let stored = |error: LedgerError| unavailable(&config.ledger.path, &error);
    let ear = ear(config, wanted.dry_run).map_err(stored)?;
    let taken = take(config, wanted, orders, &ear).map_err(stored);
    if let Ear::Ledger(ledger) = ear {
        ledger.close();
    }
    taken
}

fn ear(config: &Config, dry_run: bool) -> Result<Ear, LedgerError> {
    if !dry_run {
        return ledger_for_books(config).map(Ear::Ledger);
    }
    rehearsal_for_books(config).map(Ear::Reader)
}

/// Takes every row that can be taken.
fn take(
    config: &Config,
    wanted: &Arguments,
    orders: Orders<'_, Box<dyn Read>>,
    ear: &Ear,
) -> Result<Exit, LedgerError> {
    let mut sum = Sum::default();
    let mut waiting: Vec<Line> = Vec::with_capacity(TOGETHER);
    let mut progress = Progress::new(wanted);
    let mut broken = None;
    for order in orders {
        match order {
            Ok((line, order)) => {
                // The desk knows the configured integrations only.
                let Some(integration) = named(config, &order) else { continue };
                waiting.push((line, order, Arc::clone(&integration.terms)));
            }
            Err(NoRow::Bad(bad)) => {
                sum.bad += 1;
                progress.clear();
                if wanted.json {
                    output::line(
                        json!({"line": bad.line, "outcome": "bad", "column": bad.column, "reason": bad.reason}),
                    );
                } else {
                    output::complain(&crate::mailer::shown(&bad.to_string()));
                }
            }
            Err(NoRow::File(error)) => {
                broken = Some(format!("{}: cannot be read on: {error}", wanted.file.display()));
                break;
            }
        }
        if waiting.len() == TOGETHER {
            put(ear, &mut waiting, wanted, &mut sum, &mut progress)?;
            progress.show(&sum);
        }
    }
    put(ear, &mut waiting, wanted, &mut sum, &mut progress)?;
    progress.clear();
    if sum.is_empty() && broken.is_none() {
        output::complain(&format!("{}: there is no row under the heading", wanted.file.display()));
    }
    sum.print(wanted);
    if let Some(trouble) = broken {
        output::complain(&trouble);
        return Ok(Exit::Unavailable);
    }
    Ok(if sum.bad + sum.conflicts > 0 { Exit::No } else { Exit::Done })
}

/// Stores what waits, in the order of the file, and says what became of it.
fn put(
    ear: &Ear,
    waiting: &mut Vec<Line>,
    wanted: &Arguments,
    sum: &mut Sum,
    progress: &mut Progress,
) -> Result<(), LedgerError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let outcomes = outcomes(ear, waiting, on_conflict(wanted.replace))?;
    for ((line, order, _), outcome) in waiting.drain(..).zip(outcomes) {
        sum.count(&outcome);
        if wanted.json {
            let mut object = of_outcome(&outcome, &order);
            object["line"] = json!(line);
            output::line(object);
        } else if matches!(outcome, Expected::Conflict(_)) {
            progress.clear();
            output::complain(&crate::mailer::shown(&format!("line {line}: {}", in_words(&outcome, &order))));
        }
    }
    Ok(())
}

fn outcomes(ear: &Ear, waiting: &[Line], on_conflict: OnConflict) -> Result<Vec<Expected>, LedgerError> {
    match ear {
        Ear::Ledger(ledger) => {
            let booking = |(_, order, terms): &Line| Booking::new(order.clone(), Arc::clone(terms), on_conflict);
            let orders = waiting.iter().map(booking).collect();
            block_on(ledger.expect_all(orders, Utc::now(), Admission::Wait)).unwrap_or(Err(LedgerError::Closed))
        }
        Ear::Reader(Some(reader)) => {
            waiting.iter().map(|(_, order, _)| reader.would_expect(order, on_conflict)).collect()
        }
        Ear::Reader(None) => Ok(vec![Expected::New; waiting.len()]),
    }
}

impl Sum {
    fn count(&mut self, outcome: &Expected) {
        *match outcome {
            Expected::New => &mut self.new,
            Expected::Known => &mut self.known,
            Expected::Replaced => &mut self.replaced,
            Expected::Conflict(_) => &mut self.conflicts,
        } += 1;
    }

    const fn is_empty(&self) -> bool {
        self.new + self.known + self.replaced + self.conflicts + self.bad == 0
    }

    /// What is not there is not mentioned, except what everybody looks for.
    fn in_words(&self) -> String {
        let Self { new, known, replaced, conflicts, bad } = self;
        let mut parts = vec![format!("{new} new"), format!("{known} known")];
        for (count, one, many) in
            [(replaced, "replaced", "replaced"), (conflicts, "conflict", "conflicts"), (bad, "bad row", "bad rows")]
        {
            if *count > 0 {
                parts.push(format!("{count} {}", if *count == 1 { one } else { many }));
            }
        }
        parts.join(", ")
    }

    fn print(&self, wanted: &Arguments) {
        let Self { new, known, replaced, conflicts, bad } = self;
        if wanted.json {
            output::line(json!({
                code(&Expected::New): new, code(&Expected::Known): known, code(&Expected::Replaced): replaced,
                "conflicts": conflicts, "bad": bad, "dry_run": wanted.dry_run,
            }));
        } else {
            let note = if wanted.dry_run { " (nothing was changed)" } else { "" };
            output::line(format!("{}{note}", self.in_words()));
        }
    }
}

/// A line on the terminal that says how far it is.
struct Progress {
    wanted: bool,
    shown: bool,
    last: Instant,
}

impl Progress {
    fn new(wanted: &Arguments) -> Self {
        Self { wanted: !wanted.json && io::stderr().is_terminal(), shown: false, last: Instant::now() }
    }

    fn show(&mut self, sum: &Sum) {
        if self.wanted && self.last.elapsed() >= PROGRESS {
            (self.shown, self.last) = (true, Instant::now());
            let _ = write!(io::stderr().lock(), "\r\x1b[K{}", sum.in_words());
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
