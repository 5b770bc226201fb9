//! `paynowd expect`: what the merchant's own books say should be paid. Works beside the daemon and without it.

mod import;
mod list;

use std::sync::Arc;

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::when::stamp;
use super::{Ended, Place, block_on, ledger_for_books, output, unavailable};
use crate::books::Order;
use crate::config::{Config, IntegrationConfig};
use crate::daemon;
use crate::domain::{Expectation, MerchantTrace};
use crate::ledger::{Booking, Expected, LedgerError, OnConflict};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One order. Said again it changes nothing.
    Add(AddArguments),
    /// A file of orders.
    Import(import::Arguments),
    /// List what is expected, newest first.
    List(list::Arguments),
}

#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The integration it is to be paid through.
    #[arg(long, value_name = "NAME")]
    integration: String,
    /// Your reference, as you give it to Paynow.
    #[arg(long)]
    reference: String,
    /// What it costs: 25.00
    #[arg(long)]
    amount: String,
    /// What that is counted in: USD
    #[arg(long, value_name = "CODE")]
    currency: String,
    /// When the order was taken (2026-03-12, 2026-03-12 14:05 by reconcile.timezone, or RFC 3339); else now.
    #[arg(long, value_name = "WHEN")]
    created: Option<String>,
    /// By when it should be paid.
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// The poll URL that Paynow answered when the payment was begun. Other users of this machine can see a command
    /// line: a file for `expect import` does not show it.
    #[arg(long, value_name = "URL")]
    poll_url: Option<String>,
    /// Your trace, by which Paynow finds the payment if there is no poll URL.
    #[arg(long, value_name = "TRACE")]
    merchanttrace: Option<String>,
    /// If other money is expected under this reference, expect this instead.
    #[arg(long)]
    replace: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, command: &Command) -> Ended {
    match command {
        Command::Add(wanted) => add(&place.config()?.0, wanted),
        Command::Import(wanted) => import::run(&place.config()?.0, wanted),
        Command::List(wanted) => list::run(place, wanted),
    }
}

fn add(config: &Config, wanted: &AddArguments) -> Ended {
    let order = Order {
        integration: &wanted.integration,
        reference: &wanted.reference,
        amount: &wanted.amount,
        currency: &wanted.currency,
        created: wanted.created.as_deref(),
        due: wanted.due.as_deref(),
        poll_url: wanted.poll_url.as_deref(),
        merchanttrace: wanted.merchanttrace.as_deref(),
    };
    let now = Utc::now();
    let expected = daemon::order_desk(config).read(&order, now).map_err(|fault| {
        output::complain(&format!("--{}: {}", fault.field.replace('_', "-"), fault.reason));
        Exit::Usage
    })?;
    let integration = named(config, &expected).ok_or(Exit::Bug)?;
    let stored = ledger_for_books(config).and_then(|ledger| {
        let terms = Arc::clone(&integration.terms);
        let outcome = block_on(ledger.expect(Booking::new(expected.clone(), terms, on_conflict(wanted.replace)), now));
        ledger.close();
        outcome.unwrap_or(Err(LedgerError::Closed))
    });
    let outcome = stored.map_err(|error| unavailable(&config.ledger.path, &error))?;
    if wanted.json {
        output::line(of_outcome(&outcome, &expected));
    } else {
        output::line(crate::mailer::shown(&in_words(&outcome, &expected)));
    }
    Ok(if matches!(outcome, Expected::Conflict(_)) { Exit::No } else { Exit::Done })
}

/// The integration that the order is to be paid through.
fn named<'a>(config: &'a Config, expected: &Expectation) -> Option<&'a IntegrationConfig> {
    config.integrations.iter().find(|integration| integration.name == expected.integration)
}

const fn on_conflict(replace: bool) -> OnConflict {
    if replace { OnConflict::Replace } else { OnConflict::Keep }
}

const fn code(outcome: &Expected) -> &'static str {
    match outcome {
        Expected::New => "new",
        Expected::Known => "known",
        Expected::Replaced => "replaced",
        Expected::Conflict(_) => "conflict",
    }
}

/// What an order turned out to be, for people.
fn in_words(outcome: &Expected, order: &Expectation) -> String {
    let named = |order: &Expectation| format!("{} {}", order.currency.label(), order.amount);
    let name = format!("{} {}", order.integration, order.reference);
    match outcome {
        Expected::New => format!("{name}: {} expected", named(order)),
        Expected::Known => format!("{name}: {} was expected already", named(order)),
        Expected::Replaced => format!("{name}: {} expected, instead of what was", named(order)),
        Expected::Conflict(before) => {
            format!("{name}: {} is expected already, not {}; --replace says otherwise", named(before), named(order))
        }
    }
}

/// The same for scripts.
fn of_outcome(outcome: &Expected, order: &Expectation) -> Value {
    let mut object = of_order(order);
    object["outcome"] = json!(code(outcome));
    if let Expected::Conflict(before) = outcome {
        object["expected_already"] = json!({"amount": before.amount.to_string(), "currency": before.currency.code()});
    }
    object
}

/// An order as scripts see it. Not the poll URL: whoever has it can read the payment.
fn of_order(order: &Expectation) -> Value {
    json!({
        "integration": order.integration.as_str(),
        "reference": order.reference.as_str(),
        "amount": order.amount.to_string(),
        "currency": order.currency.code(),
        "mode": order.mode.code(),
        "created": stamp(order.created),
        "due": order.due.map(stamp),
        "has_poll_url": order.poll_url.is_some(),
        "merchanttrace": order.trace.as_ref().map(MerchantTrace::as_str),
    })
}
