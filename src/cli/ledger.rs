//! `paynowd ledger`: does it still say what was written? Looks only, while the daemon goes on.

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::{Ended, Place, output, unavailable};
use crate::ledger::{Flaw, Reader, Scope, Verification};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Verify everything: the file, the chain of events, and every payment against its events. Exits with 1 if
    /// anything is wrong.
    Verify(VerifyArguments),
    /// Fold every payment from its events again and compare it with what the ledger says.
    Rebuild(RebuildArguments),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RebuildArguments {
    /// Compare only, change nothing: so far the only thing it does.
    #[arg(long, required = true)]
    check: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, command: &Command) -> Ended {
    let path = place.ledger()?.path;
    let (scope, as_json) = match command {
        Command::Verify(wanted) => (Scope::Whole, wanted.json),
        Command::Rebuild(wanted) => (Scope::Fold, wanted.json),
    };
    let found = Reader::open(&path).and_then(|reader| reader.verify(scope)).map_err(|error| {
        let exit = unavailable(&path, &error);
        // Damage is an answer; a file that is not there or may not be read is none.
        if error.is_damage() { Exit::No } else { exit }
    })?;
    if as_json {
        output::line(of_verification(&found));
    } else {
        tell(&found);
    }
    Ok(if found.flaws.is_empty() { Exit::Done } else { Exit::No })
}

fn tell(found: &Verification) {
    for flaw in &found.flaws {
        output::line(crate::mailer::shown(&in_words(flaw)));
    }
    output::line(format!("{} events, {} payments", found.events, found.payments));
    output::line(format!("head {}", hex::encode(found.head)));
    output::line(if found.flaws.is_empty() {
        "in order"
    } else {
        "NOT in order: keep a copy of the file and its -wal as they are, and compare with a backup"
    });
}

fn in_words(flaw: &Flaw) -> String {
    let row = flaw.row.as_ref().map(|(table, id)| format!("{table} {id}: ")).unwrap_or_default();
    let more = if flaw.more > 0 { format!(" (and {} more)", flaw.more) } else { String::new() };
    format!("{}: {row}{}{more}", flaw.check.code(), flaw.what)
}

fn of_verification(found: &Verification) -> serde_json::Value {
    let flaws: Vec<_> = found
        .flaws
        .iter()
        .map(|flaw| {
            json!({
                "check": flaw.check.code(),
                "table": flaw.row.as_ref().map(|(table, _)| table),
                "row": flaw.row.as_ref().map(|(_, id)| id),
                "what": flaw.what,
                "more": flaw.more,
            })
        })
        .collect();
    json!({
        "sound": found.flaws.is_empty(),
        "events": found.events,
        "payments": found.payments,
        "head": hex::encode(found.head),
        "flaws": flaws,
    })
}
