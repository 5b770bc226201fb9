//! `paynowd payments`: what is in the ledger, for people and for scripts.

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{self, Table};
use super::when::{Period, stamp};
use super::whose::Whose;
use super::{Ended, Place, discrepancies};
use crate::domain::{GatewayReference, Payment, Reference, Status, Trust, WireStatus};
use crate::ledger::{Filter, LedgerError, Reader, Story};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List payments, newest first.
    List(ListArguments),
    /// Show everything about one payment.
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    whose: Whose,
    /// Only in this state (repeatable): paid, awaiting-delivery, cancelled, …
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only trusted so far: reported, confirmed or unconfirmable.
    #[arg(long, value_name = "TRUST", value_parser = trust)]
    trust: Option<Trust>,
    /// Only with exactly this reference of yours.
    #[arg(long)]
    reference: Option<String>,
    /// When they were first seen.
    #[command(flatten)]
    first_seen: Period,
    /// At most so many.
    #[arg(long)]
    limit: Option<u32>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The gateway key, else Paynow's or your own reference.
    key: String,
    #[command(flatten)]
    whose: Whose,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, command: Command) -> Ended {
    place.look(|reader| match command {
        Command::List(wanted) => list(reader, wanted),
        Command::Show(wanted) => show(reader, &wanted),
    })
}

fn list(reader: &Reader, wanted: ListArguments) -> Result<Exit, LedgerError> {
    let (since, until) = wanted.first_seen.bounds();
    let filter = Filter {
        integration: wanted.whose.name(reader)?,
        statuses: wanted.status,
        trust: wanted.trust,
        reference: wanted.reference,
        since,
        until,
        limit: wanted.limit,
    };
    if wanted.json {
        reader.payments(&filter, |payment| output::line(of_payment(&payment)))?;
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new(&["FIRST SEEN (UTC)", "INTEGRATION", "REFERENCE", "PAYNOW", ">AMOUNT", "STATUS", "TRUST"]);
    reader.payments(&filter, |payment| {
        table.row(row(&payment));
        true
    })?;
    table.print("no such payments");
    Ok(Exit::Done)
}

/// A payment as a row for people.
pub(super) fn row(payment: &Payment) -> [String; 7] {
    let facts = &payment.facts;
    let test = if payment.mode == crate::domain::Mode::Test { " [test]" } else { "" };
    [
        payment.first_seen.format("%Y-%m-%d %H:%M:%S").to_string(),
        format!("{}{test}", payment.integration),
        facts.reference.as_ref().map_or_else(|| "-".into(), ToString::to_string),
        facts.gateway_reference.as_ref().map_or_else(|| "-".into(), ToString::to_string),
        facts.amount.map_or_else(|| "unknown".into(), |amount| format!("{} {amount}", payment.currency.label())),
        payment.status.label().into(),
        payment.trust.code().into(),
    ]
}

fn show(reader: &Reader, wanted: &ShowArguments) -> Result<Exit, LedgerError> {
    let stories = reader.stories(&wanted.key, wanted.whose.name(reader)?.as_deref())?;
    if stories.is_empty() {
        output::complain(&format!("no payment has the key or reference {:?}", wanted.key));
        return Ok(Exit::No);
    }
    for story in &stories {
        if wanted.json {
            output::line(of_story(story));
        } else {
            tell(story);
        }
    }
    Ok(Exit::Done)
}

/// A payment's story for people.
fn tell(story: &Story) {
    let payment = &story.known.payment;
    let mut facts = Table::new(&["PAYMENT", ""]);
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    for (name, value) in [
        ("integration", format!("{} ({})", payment.integration, payment.mode.code())),
        ("gateway key", payment.key.to_string()),
        ("reference", text(payment.facts.reference.as_ref().map(ToString::to_string))),
        ("paynow reference", text(payment.facts.gateway_reference.as_ref().map(ToString::to_string))),
        (
            "amount",
            payment
                .facts
                .amount
                .map_or_else(|| "unknown".into(), |amount| format!("{} {amount}", payment.currency.label())),
        ),
        ("amount paid", text(payment.facts.amount_paid.map(|amount| format!("{} {amount}", payment.currency.label())))),
        ("status", format!("{} ({})", payment.status.label(), payment.trust.code())),
        ("first seen", stamp(payment.first_seen)),
        ("last changed", stamp(payment.last_changed)),
        ("next poll", text(story.known.plan.due.map(stamp))),
        ("unconfirmed letter", text(story.known.unconfirmed_at.map(stamp))),
    ] {
        if value != "-" {
            facts.row([name.into(), value]);
        }
    }
    facts.print("");
    let mut events = Table::new(&["EVENT", "AT", "CHANNEL", "SAID", "OUTCOME", "STATUS", "TRUST"]);
    for event in &story.events {
        // A person speaks of a finding, not of a state.
        let said = match &event.decision {
            Some(decision) => format!("{}: {} ({})", decision.class, decision.reason, decision.actor),
            None => text(event.said.clone()),
        };
        events.row([
            event.id.to_string(),
            stamp(event.at),
            event.channel.clone(),
            said,
            event.outcome.clone(),
            text(event.status.clone()),
            text(event.trust.clone()),
        ]);
    }
    let mut repeats = Table::new(&["HEARD AGAIN", "AS", "LAST"]);
    for again in &story.repeats {
        repeats.row([again.count.to_string(), again.outcome.clone(), stamp(again.last_at)]);
    }
    let mut polls = Table::new(&["POLLS", "FIRST", "LAST", "BROUGHT", "DETAIL"]);
    for poll in &story.polls {
        polls.row([
            poll.count.to_string(),
            stamp(poll.first_at),
            stamp(poll.last_at),
            poll.outcome.clone(),
            poll.detail.clone(),
        ]);
    }
    let mut letters = Table::new(&["LETTER", "TO", "ABOUT", "STATE", "TRIES", "ERROR"]);
    for letter in &story.letters {
        letters.row([
            letter.id.to_string(),
            letter.recipient.clone(),
            letter.about.code(),
            letter.state.clone(),
            letter.attempts.to_string(),
            text(letter.error.clone()),
        ]);
    }
    let mut findings = Table::new(&["ID", "DISCREPANCY", "STATE", "EXPECTED", "FOUND", "NEXT STEP"]);
    for finding in &story.discrepancies {
        findings.row([
            finding.id.to_string(),
            finding.class.code().into(),
            finding.state.clone(),
            finding.expected.clone(),
            finding.found.clone(),
            finding.class.next_step().into(),
        ]);
    }
    for (table, nothing) in [
        (events, "no events"),
        (repeats, "nothing heard again"),
        (polls, "never asked about"),
        (letters, "no letters"),
        (findings, "no discrepancies"),
    ] {
        output::line("");
        table.print(nothing);
    }
}

/// A payment as scripts see it.
pub(super) fn of_payment(payment: &Payment) -> Value {
    json!({
        "integration": payment.integration.as_str(),
        "gateway_key": payment.key.as_str(),
        "reference": payment.facts.reference.as_ref().map(Reference::as_str),
        "gateway_reference": payment.facts.gateway_reference.as_ref().map(GatewayReference::as_str),
        "amount": payment.facts.amount.map(|amount| amount.to_string()),
        "amount_paid": payment.facts.amount_paid.map(|amount| amount.to_string()),
        "currency": payment.currency.code(),
        "status": payment.status.code(),
        "wire_status": payment.wire_status.as_ref().map(WireStatus::as_str),
        "trust": payment.trust.code(),
        "mode": payment.mode.code(),
        "first_seen": stamp(payment.first_seen),
        "last_changed": stamp(payment.last_changed),
    })
}

/// A payment's story as scripts see it.
fn of_story(story: &Story) -> Value {
    let mut object = of_payment(&story.known.payment);
    object["next_poll"] = json!(story.known.plan.due.map(stamp));
    object["unconfirmed_letter"] = json!(story.known.unconfirmed_at.map(stamp));
    object["events"] = story
        .events
        .iter()
        .map(|event| {
            json!({
                "id": event.id,
                "at": stamp(event.at),
                "channel": event.channel,
                "evidence": event.evidence,
                "said": event.said,
                "decision": event.decision.as_ref().map(|decision| json!({
                    "discrepancy": decision.discrepancy,
                    "class": decision.class,
                    "actor": decision.actor,
                    "reason": decision.reason,
                })),
                "said_at": event.said_at,
                "said_at_earliest": event.meant.map(|(earliest, _)| stamp(earliest)),
                "said_at_latest": event.meant.map(|(_, latest)| stamp(latest)),
                "outcome": event.outcome,
                "status": event.status,
                "trust": event.trust,
                "digest": hex::encode(event.digest),
            })
        })
        .collect();
    object["repeats"] = story
        .repeats
        .iter()
        .map(|again| json!({ "outcome": again.outcome, "count": again.count, "last_at": stamp(again.last_at) }))
        .collect();
    object["polls"] = story
        .polls
        .iter()
        .map(|poll| {
            json!({
                "first_at": stamp(poll.first_at),
                "last_at": stamp(poll.last_at),
                "count": poll.count,
                "outcome": poll.outcome,
                "detail": poll.detail,
            })
        })
        .collect();
    object["letters"] = story.letters.iter().map(super::mail::of_letter).collect();
    let now = Utc::now();
    object["discrepancies"] = story.discrepancies.iter().map(|found| json!(discrepancies::line(found, now))).collect();
    object
}

fn status(text: &str) -> Result<Status, String> {
    Status::from_code(text).ok_or_else(|| format!("not a status; one of {}", Status::ALL.map(Status::code).join(", ")))
}

fn trust(text: &str) -> Result<Trust, String> {
    Trust::from_code(text).ok_or_else(|| "not a trust; one of reported, confirmed, unconfirmable".into())
}
