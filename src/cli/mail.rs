//! `paynowd mail`: the letters, and the way to the post office.

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{self, Table};
use super::when::stamp;
use super::{Ended, Place, block_on, unavailable};
use crate::daemon;
use crate::domain::Reference;
use crate::ledger::{Ledger, LetterState, Reader, Role, Topic};
use crate::mailer::{self, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List letters, newest first.
    List(ListArguments),
    /// Put letters that were tried in vain, refused or given up back into the post.
    Retry(RetryArguments),
    /// Send a test letter by the configured transport.
    Test(TestArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only in this state.
    #[arg(long, value_parser = ["waiting", "sent", "refused", "given-up", "withdrawn"])]
    state: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RetryArguments {
    /// Only this letter; all that did not go out otherwise.
    id: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// To whom.
    recipient: String,
}

pub(super) fn run(place: &Place, command: Command) -> Ended {
    match command {
        Command::List(wanted) => list(place, &wanted),
        Command::Retry(wanted) => retry(place, &wanted),
        Command::Test(wanted) => test(place, &wanted),
    }
}

fn list(place: &Place, wanted: &ListArguments) -> Ended {
    let mut table = Table::new(&["LETTER", "WRITTEN (UTC)", "TO", "ABOUT", "REFERENCE", "STATE", ">TRIES", "ERROR"]);
    place.look(|reader| {
        reader.letters(|letter| {
            if wanted.state.as_ref().is_some_and(|state| *state != letter.state) {
                return true;
            }
            if wanted.json {
                return output::line(of_letter(&letter));
            }
            table.row([
                letter.id.to_string(),
                letter.written.format("%Y-%m-%d %H:%M:%S").to_string(),
                letter.recipient,
                letter.about.code(),
                reference(&letter.about),
                letter.state,
                letter.attempts.to_string(),
                letter.error.unwrap_or_default(),
            ]);
            true
        })
    })?;
    if !wanted.json {
        table.print("no such letters");
    }
    Ok(Exit::Done)
}

fn retry(place: &Place, wanted: &RetryArguments) -> Ended {
    let (config, _) = place.config()?;
    let retried = block_on(async {
        // Looked for before opening for writing: that would make a ledger where there is none.
        drop(Reader::open(&config.ledger.path)?);
        let ledger = Ledger::open(&daemon::ledger_settings(&config), Role::Command)?;
        let retried = ledger.retry_letters(wanted.id, Utc::now()).await;
        ledger.close();
        retried
    })?;
    let count = retried.map_err(|error| unavailable(&config.ledger.path, &error))?;
    if count == 0 {
        let Some(id) = wanted.id else {
            output::line("no letter has been tried in vain, refused or given up");
            return Ok(Exit::Done);
        };
        output::complain(&format!("{id} is no letter that has been tried in vain, refused or given up"));
        return Ok(Exit::No);
    }
    output::line(format!("{count} back in the post; the daemon sends them as soon as somebody takes them"));
    Ok(Exit::Done)
}

fn test(place: &Place, wanted: &TestArguments) -> Ended {
    let (config, _) = place.config()?;
    block_on(mailer::send_test(&daemon::mailer_settings(&config), &wanted.recipient))?.map_err(|failure| {
        output::complain(&in_words(&failure));
        Exit::Unavailable
    })?;
    output::line(format!("a test letter to {} is on its way", wanted.recipient));
    Ok(Exit::Done)
}

/// Why the test letter did not go. Nobody tries it again.
fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Deferred(trouble) => format!("not delivered: {trouble}"),
        Failure::Refused { .. } | Failure::Misconfigured(_) => failure.to_string(),
    }
}

/// What people call that which a letter is about: an order, a transaction, or days.
fn reference(about: &Topic) -> String {
    match about {
        Topic::Payment { payment, .. } => {
            let facts = &payment.facts;
            let reference = facts.reference.as_ref().map(ToString::to_string);
            let reference = reference.or_else(|| facts.gateway_reference.as_ref().map(ToString::to_string));
            reference.unwrap_or_else(|| "-".into())
        }
        Topic::Report { first, last } if first == last => first.to_string(),
        Topic::Report { first, last } => format!("{first} to {last}"),
    }
}

/// The days a letter reports, where it is a report.
fn days(about: &Topic) -> Option<(String, String)> {
    match about {
        Topic::Payment { .. } => None,
        Topic::Report { first, last } => Some((first.to_string(), last.to_string())),
    }
}

/// A letter as scripts see it.
pub(super) fn of_letter(letter: &LetterState) -> Value {
    let payment = letter.about.payment();
    let (first_day, last_day) = days(&letter.about).unzip();
    json!({
        "id": letter.id,
        "integration": payment.map(|payment| payment.integration.as_str()),
        "gateway_key": payment.map(|payment| payment.key.as_str()),
        "reference": payment.and_then(|payment| payment.facts.reference.as_ref()).map(Reference::as_str),
        "first_day": first_day,
        "last_day": last_day,
        "recipient": letter.recipient,
        "notice": letter.about.code(),
        "state": letter.state,
        "written": stamp(letter.written),
        "due": stamp(letter.due),
        "settled": letter.settled.map(stamp),
        "attempts": letter.attempts,
        "error": letter.error,
    })
}
