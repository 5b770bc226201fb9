//! `paynowd export`: what was paid, for other people's books. Looks only, while the daemon goes on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;

use super::exit::Exit;
use super::when::day;
use super::whose::Whose;
use super::{Ended, Place, misconfigured, output};
use crate::books::{Export, Format, LeftOut};
use crate::config::ReconcileConfig;
use crate::domain::{Currency, Days, Mode, Timestamp};
use crate::ledger::{MoneyFilter, Reader};

/// Who may read an export: it holds what customers paid.
const OWNER: u32 = 0o600;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Days are those of reconcile.timezone. A payment belongs to the day on which its money was first heard of (paid_at).
  csv, jsonl   one row a payment, with its status, how far that is to be
               trusted, and its gateway key
  xero         a bank statement, with days as 2026-12-31:
               *Date,*Amount,Payee,Description,Reference,Check Number
  quickbooks   a bank statement, with days as 31/12/2026:
               Date,Description,Amount
  ledger       a journal for ledger or hledger, with the tag id
In the last three, money that went back is an entry of its own on the day of the refund, and what Paynow has not \
confirmed yet is left out: export those days again later.
Ids are the same in every export, so that what was imported once can be told. In Zimbabwe, whoever has a gateway key can \
read the payment at Paynow: keep files of csv and jsonl to yourself.")]
pub(super) struct Arguments {
    /// The first day: 2026-03-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: NaiveDate,
    /// The last day; it is part of the export.
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: NaiveDate,
    /// csv, jsonl, xero, quickbooks or ledger.
    #[arg(long, value_parser = format)]
    format: Format,
    #[command(flatten)]
    whose: Whose,
    /// Only in this currency; xero and quickbooks hold one a file.
    #[arg(long, value_name = "CODE", value_parser = currency)]
    currency: Option<Currency>,
    /// live, or test: never both.
    #[arg(long, default_value = "live", value_parser = mode)]
    mode: Mode,
    /// Into this file, which appears when it is whole; else to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Why there is no export.
type Trouble = (Exit, String);

pub(super) fn run(place: &Place, wanted: &Arguments) -> Ended {
    let ledger = place.ledger()?.path;
    let zone = ReconcileConfig::load(place.file.as_deref(), &place.environment).map_err(misconfigured)?.timezone;
    let left_out = export(&ledger, zone, wanted).map_err(|(exit, trouble)| {
        output::complain(&trouble);
        exit
    })?;
    for (entries, why) in
        [(left_out.unproven, "Paynow has not confirmed it yet"), (left_out.unknown, "nobody told the amount")]
    {
        if entries > 0 {
            output::complain(&format!("left out, because {why}: {entries}"));
        }
    }
    Ok(Exit::Done)
}

/// Writes the export. Returns what it lacks.
fn export(path: &Path, zone: Tz, wanted: &Arguments) -> Result<LeftOut, Trouble> {
    let days = Days::new(wanted.from, wanted.to, zone).ok_or((Exit::Usage, "--to is before --from".to_owned()))?;
    let period = days.from()..days.until();
    let unavailable = |error| (Exit::Unavailable, format!("{}: {error}", path.display()));
    let reader = Reader::open(path).map_err(unavailable)?;
    let filter = MoneyFilter {
        moved: period.clone(),
        mode: wanted.mode,
        integration: wanted.whose.name(&reader).map_err(unavailable)?,
        currency: wanted.currency,
    };
    let job = Job { reader: &reader, ledger: path, wanted, filter, period, zone };
    if wanted.format.is_of_one_currency() {
        job.one_currency()?;
    }
    match &wanted.out {
        None => match job.write(BufWriter::new(io::stdout().lock())) {
            // Whoever read has seen enough.
            Err(Failure::Out(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(LeftOut::default()),
            result => result.map_err(|failure| job.told(failure, Path::new("standard output"))),
        },
        Some(file) => {
            let mut part = file.as_os_str().to_owned();
            part.push(".part");
            let part = PathBuf::from(part);
            let written = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(OWNER)
                .open(&part)
                .map_err(Failure::Out)
                .and_then(|out| job.write(BufWriter::new(out)))
                .and_then(|left_out| std::fs::rename(&part, file).map(|()| left_out).map_err(Failure::Out));
            written.map_err(|failure| {
                // What is there is of no use to anybody.
                let _ = std::fs::remove_file(&part);
                job.told(failure, file)
            })
        }
    }
}

/// One export.
struct Job<'a> {
    reader: &'a Reader,
    ledger: &'a Path,
    wanted: &'a Arguments,
    filter: MoneyFilter,
    period: Range<Timestamp>,
    zone: Tz,
}

enum Failure {
    Ledger(crate::ledger::LedgerError),
    Out(io::Error),
}

impl Job<'_> {
    /// A bank statement is of one account, and an account of one currency.
    fn one_currency(&self) -> Result<(), Trouble> {
        let mut currencies = BTreeSet::new();
        let read = self.reader.money(&self.filter, |known| {
            currencies.insert(known.payment.currency);
            true
        });
        read.map_err(|error| self.told(Failure::Ledger(error), self.ledger))?;
        if currencies.len() < 2 {
            return Ok(());
        }
        let codes: Vec<&str> = currencies.iter().map(Currency::code).collect();
        let trouble =
            format!("a bank statement is of one currency, here are {}: choose with --currency", codes.join(", "));
        Err((Exit::No, trouble))
    }

    fn write(&self, out: impl Write) -> Result<LeftOut, Failure> {
        let mut export = Export::new(out, self.wanted.format, self.period.clone(), self.zone).map_err(Failure::Out)?;
        let mut broken = None;
        self.reader
            .money(&self.filter, |known| {
                broken = export.payment(&known).err();
                broken.is_none()
            })
            .map_err(Failure::Ledger)?;
        broken.map_or(Ok(()), Err).and_then(|()| export.finish()).map_err(Failure::Out)
    }

    fn told(&self, failure: Failure, out: &Path) -> Trouble {
        let trouble = match failure {
            Failure::Ledger(error) => format!("{}: {error}", self.ledger.display()),
            Failure::Out(error) => format!("{}: {error}", out.display()),
        };
        (Exit::Unavailable, trouble)
    }
}

fn format(text: &str) -> Result<Format, String> {
    let codes = || Format::ALL.map(Format::code).join(", ");
    Format::from_code(text).ok_or_else(|| format!("not a format; one of {}", codes()))
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::from_code(text).ok_or_else(|| "live or test".into())
}

fn currency(text: &str) -> Result<Currency, String> {
    text.parse().map_err(|error: crate::domain::amount::NotACurrency| error.to_string())
}
