//! `paynowd quarantine`: what was refused, looked at, taken in after all, or thrown away. Works beside the daemon.

mod release;
mod show;

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{self, Table};
use super::when::{Period, stamp};
use super::whose::Whose;
use super::{Ended, Place, block_on, unavailable};
use crate::config::duration;
use crate::daemon;
use crate::domain::{Refusal, Timestamp};
use crate::ledger::{Ledger, LedgerError, QuarantineFilter, Quarantined, Reader, Role};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List refused posts, newest first.
    List(ListArguments),
    /// Show one refused post, its body included.
    Show(show::Arguments),
    /// Read posts again under today's keys, and record those that verify. Exits with 1 if any stays.
    Release(release::Arguments),
    /// Throw posts away for good.
    Purge(PurgeArguments),
}

/// Which posts.
#[derive(Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    whose: Whose,
    /// Only those refused for this reason.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Refusal>,
    /// When they arrived.
    #[command(flatten)]
    arrived: Period,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    which: Which,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArguments {
    /// These.
    #[arg(value_name = "ID", required_unless_present_any = ["all", "older_than"])]
    ids: Vec<i64>,
    /// All that pass the filters.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// All that pass the filters and came at least so long ago: 30d, 12h, 45m.
    #[arg(long, value_name = "AGE", value_parser = age, conflicts_with_all = ["ids", "all", "since", "until", "date"])]
    older_than: Option<Duration>,
    #[command(flatten)]
    which: Which,
    /// Really. Without it, only say how many it would be.
    #[arg(long)]
    yes: bool,
}

impl Which {
    fn filter(&self, reader: &Reader) -> Result<QuarantineFilter, LedgerError> {
        let (since, until) = self.arrived.bounds();
        Ok(QuarantineFilter { integration: self.whose.name(reader)?, kind: self.kind, since, until })
    }
}

pub(super) fn run(place: &Place, command: &Command) -> Ended {
    match command {
        Command::List(wanted) => place.look(|reader| list(reader, wanted)),
        Command::Show(wanted) => place.look(|reader| show::run(reader, wanted)),
        Command::Release(wanted) => release::run(place, wanted),
        Command::Purge(wanted) => purge(place, wanted),
    }
}

fn list(reader: &Reader, wanted: &ListArguments) -> Result<Exit, LedgerError> {
    let filter = wanted.which.filter(reader)?;
    if wanted.json {
        reader.quarantine(&filter, |post| output::line(of_post(&post)))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["ID", "AT (UTC)", "INTEGRATION", "PEER", "KIND", "REASON", ">BYTES"]);
    reader.quarantine(&filter, |post| {
        table.row([
            post.id.to_string(),
            post.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            post.integration.to_string(),
            peer(&post),
            post.kind.code().to_owned(),
            post.reason,
            post.bytes.to_string(),
        ]);
        true
    })?;
    table.print("nothing in quarantine");
    Ok(Exit::Done)
}

fn peer(post: &Quarantined) -> String {
    post.peer.map_or_else(|| "-".into(), |peer| peer.to_string())
}

/// A refused post as scripts see it.
fn of_post(post: &Quarantined) -> Value {
    json!({
        "id": post.id,
        "at": stamp(post.at),
        "integration": post.integration.as_str(),
        "peer": post.peer.map(|peer| peer.to_string()),
        "kind": post.kind.code(),
        "reason": post.reason,
        "bytes": post.bytes,
    })
}

/// The numbers of the posts that pass `filter`, in the order in which they came.
fn numbers(reader: &Reader, filter: &QuarantineFilter) -> Result<Vec<i64>, LedgerError> {
    let mut ids = Vec::new();
    reader.quarantine(filter, |post| {
        ids.push(post.id);
        true
    })?;
    ids.reverse();
    Ok(ids)
}

fn purge(place: &Place, wanted: &PurgeArguments) -> Ended {
    let config = place.ledger()?;
    let purged = block_on(async {
        // Looked for before opening for writing: that would make a ledger where there is none.
        let reader = Reader::open(&config.path)?;
        let mut filter = wanted.which.filter(&reader)?;
        if let Some(age) = wanted.older_than {
            let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
            // Nothing is older than time itself.
            filter.until = Some(Utc::now().checked_sub_signed(age).unwrap_or(Timestamp::MIN_UTC));
        }
        let mut ids = numbers(&reader, &filter)?;
        if !wanted.ids.is_empty() {
            ids.retain(|id| wanted.ids.contains(id));
        }
        if !wanted.yes || ids.is_empty() {
            return Ok((ids.len(), 0));
        }
        let ledger = Ledger::open(&daemon::command_settings(&config), Role::Command)?;
        let gone = ledger.discard(ids.clone()).await;
        ledger.close();
        Ok((ids.len(), gone?))
    })?;
    let (found, gone) = purged.map_err(|error| unavailable(&config.path, &error))?;
    if found == 0 {
        let of_that = if wanted.ids.is_empty() { "nothing of that kind" } else { "nothing of that number" };
        output::complain(&format!("{of_that} is in quarantine"));
        return Ok(Exit::No);
    }
    if !wanted.yes {
        output::complain(&format!("{found} would be thrown away for good; say --yes if you mean it"));
        return Ok(Exit::No);
    }
    output::line(format!("{gone} thrown away"));
    Ok(Exit::Done)
}

fn kind(text: &str) -> Result<Refusal, String> {
    Refusal::from_code(text)
        .ok_or_else(|| "not a kind of refusal; one of malformed, forged, suspect, contradicts".into())
}

/// An age, written like the durations of the configuration.
fn age(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "not an age like 30d, 12h, 45m or 10s".into())
}
