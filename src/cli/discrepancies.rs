//! `paynowd discrepancies`: what does not add up, and a person's word that it is settled. Works beside the daemon.

use chrono::Utc;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::Exit;
use super::output::{self, Table};
use super::when::stamp;
use super::whose::Whose;
use super::{Ended, Place, block_on, unavailable};
use crate::config::LedgerConfig;
use crate::daemon;
use crate::domain::{Class, GatewayKey, Mode, Reference, Severity, Timestamp, is_hidden};
use crate::ledger::{
    Discrepancy, DiscrepancyFilter, LONGEST_ACTOR, LONGEST_REASON, Ledger, LedgerError, Reader, Resolution, Resolved,
    Role,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what does not add up, newest first.
    List(ListArguments),
    /// Show one discrepancy and what to do about it.
    Show(ShowArguments),
    /// Say that one is settled, and why. The reason is kept in the chain of events for good.
    Resolve(ResolveArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The resolved ones, too.
    #[arg(long)]
    all: bool,
    /// Only of this class: underpaid, paid-late, stuck-pending, …
    #[arg(long, value_parser = class)]
    class: Option<Class>,
    #[command(flatten)]
    whose: Whose,
    /// Only of this severity: info, warning or critical.
    #[arg(long, value_parser = severity)]
    severity: Option<Severity>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Its number in `discrepancies list`.
    id: i64,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArguments {
    /// Its number in `discrepancies list`.
    id: i64,
    /// Why it is settled, in your own words.
    #[arg(long, value_parser = reason)]
    reason: String,
    /// Who says so; else who is logged in.
    #[arg(long, value_name = "NAME", value_parser = actor)]
    actor: Option<String>,
}

pub(super) fn run(place: &Place, command: Command) -> Ended {
    match command {
        Command::List(wanted) => place.look(|reader| list(reader, &wanted)),
        Command::Show(wanted) => place.look(|reader| show(reader, &wanted)),
        Command::Resolve(wanted) => {
            let actor = wanted.actor.unwrap_or_else(|| logged_in(place));
            resolve(&place.ledger()?, wanted.id, wanted.reason, actor)
        }
    }
}

fn list(reader: &Reader, wanted: &ListArguments) -> Result<Exit, LedgerError> {
    let filter =
        DiscrepancyFilter { resolved_too: wanted.all, class: wanted.class, integration: wanted.whose.name(reader)? };
    let now = Utc::now();
    let passes = |found: &Discrepancy| wanted.severity.is_none_or(|wanted| found.severity(now) == wanted);
    if wanted.json {
        reader.discrepancies(&filter, |found| !passes(&found) || print(&found, now))?;
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new(&["ID", "SEVERITY", "CLASS", "INTEGRATION", "REFERENCE", "EXPECTED", "FOUND", ">AGE", "STATE"]);
    reader.discrepancies(&filter, |found| {
        if passes(&found) {
            table.row(row(&found, now));
        }
        true
    })?;
    table.print(if wanted.all { "nothing ever failed to add up" } else { "everything adds up" });
    Ok(Exit::Done)
}

/// A finding as a row for people.
fn row(found: &Discrepancy, now: Timestamp) -> [String; 9] {
    let test = if found.mode == Some(Mode::Test) { " [test]" } else { "" };
    let age = found.age(now);
    [
        found.id.to_string(),
        found.severity(now).code().into(),
        found.class.code().into(),
        format!("{}{test}", found.integration),
        found.reference.as_ref().map_or_else(|| "-".into(), ToString::to_string),
        found.expected.clone(),
        found.found.clone(),
        if age.num_days() > 0 { format!("{} d", age.num_days()) } else { format!("{} h", age.num_hours()) },
        found.state.clone(),
    ]
}

fn show(reader: &Reader, wanted: &ShowArguments) -> Result<Exit, LedgerError> {
    let Some(found) = reader.discrepancy(wanted.id)? else { return Ok(unknown(wanted.id)) };
    let now = Utc::now();
    if wanted.json {
        print(&found, now);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["DISCREPANCY", ""]);
    let dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let mode = found.mode.map_or_else(String::new, |mode| format!(" ({})", mode.code()));
    for (name, value) in [
        ("id", found.id.to_string()),
        ("class", format!("{} ({})", found.class.code(), found.severity(now).code())),
        ("state", found.state.clone()),
        ("integration", format!("{}{mode}", found.integration)),
        ("reference", dash(found.reference.as_ref().map(ToString::to_string))),
        ("gateway key", dash(found.key.as_ref().map(ToString::to_string))),
        ("expected", found.expected.clone()),
        ("found", found.found.clone()),
        ("opened", stamp(found.opened)),
        ("resolved", dash(found.resolved.map(stamp))),
        ("resolution", dash(found.resolution.clone())),
        ("resolved by", dash(found.actor.clone())),
        ("next step", if found.is_open() { found.class.next_step().into() } else { "-".into() }),
    ] {
        if value != "-" {
            table.row([name.into(), value]);
        }
    }
    table.print("");
    Ok(Exit::Done)
}

fn unknown(id: i64) -> Exit {
    output::complain(&format!("no discrepancy has the number {id}"));
    Exit::No
}

fn resolve(config: &LedgerConfig, id: i64, reason: String, actor: String) -> Ended {
    let resolved = block_on(async {
        // Looked for before opening for writing: that would make a ledger where there is none.
        if Reader::open(&config.path)?.discrepancy(id)?.is_none() {
            return Ok(Resolved::Unknown);
        }
        let ledger = Ledger::open(&daemon::command_settings(config), Role::Command)?;
        let resolved = ledger.resolve(Resolution { discrepancy: id, actor, reason, at: Utc::now() }).await;
        ledger.close();
        resolved
    })?;
    Ok(match resolved.map_err(|error| unavailable(&config.path, &error))? {
        Resolved::Now(found) => {
            let by = found.actor.as_deref().unwrap_or_default();
            output::line(crate::mailer::shown(&format!("{id}: {} resolved by {by}", found.class.code())));
            Exit::Done
        }
        Resolved::Before(found) => {
            let when = found.resolved.map(stamp).unwrap_or_default();
            let by = found.actor.map(|actor| format!(" by {actor}")).unwrap_or_default();
            output::complain(&crate::mailer::shown(&format!("{id} was resolved{by} on {when} already")));
            Exit::No
        }
        Resolved::Unknown => unknown(id),
    })
}

/// Who is logged in: the person behind sudo, else the user, else the number the system has for whoever this is.
fn logged_in(place: &Place) -> String {
    let variables = ["SUDO_USER", "USER", "LOGNAME"].iter();
    let named = variables.filter_map(|name| place.environment.vars.get(*name)).find_map(|name| actor(name).ok());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// A finding as scripts see it, in this order.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    id: i64,
    class: &'static str,
    severity: &'static str,
    state: &'a str,
    integration: &'a str,
    reference: Option<&'a str>,
    gateway_key: Option<&'a str>,
    expected: &'a str,
    found: &'a str,
    opened: String,
    age_hours: i64,
    next_step: &'static str,
    mode: Option<&'static str>,
    times: i64,
    resolved: Option<String>,
    resolution: Option<&'a str>,
    actor: Option<&'a str>,
}

/// The line of a finding at `now`.
pub(super) fn line(found: &Discrepancy, now: Timestamp) -> Line<'_> {
    Line {
        id: found.id,
        class: found.class.code(),
        severity: found.severity(now).code(),
        state: &found.state,
        integration: found.integration.as_str(),
        reference: found.reference.as_ref().map(Reference::as_str),
        gateway_key: found.key.as_ref().map(GatewayKey::as_str),
        expected: &found.expected,
        found: &found.found,
        opened: stamp(found.opened),
        age_hours: found.age(now).num_hours(),
        next_step: found.class.next_step(),
        mode: found.mode.map(Mode::code),
        times: found.times,
        resolved: found.resolved.map(stamp),
        resolution: found.resolution.as_deref(),
        actor: found.actor.as_deref(),
    }
}

/// Prints a finding for scripts. `false` once nobody reads any more.
fn print(found: &Discrepancy, now: Timestamp) -> bool {
    serde_json::to_string(&line(found, now)).is_ok_and(output::line)
}

fn class(text: &str) -> Result<Class, String> {
    Class::from_code(text).ok_or_else(|| "not a class of discrepancy, like underpaid or stuck-pending".into())
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_code(text).ok_or_else(|| "not a severity; one of info, warning, critical".into())
}

fn reason(text: &str) -> Result<String, String> {
    bounded(text, LONGEST_REASON)
}

fn actor(text: &str) -> Result<String, String> {
    bounded(text, LONGEST_ACTOR)
}

/// Some printable text, not too much of it: it is kept for good and read by others.
fn bounded(text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest || text.chars().any(is_hidden) {
        return Err(format!("must be 1 to {longest} printable characters"));
    }
    Ok(text.to_owned())
}
