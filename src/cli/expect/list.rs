//! `paynowd expect list`: what is expected, for people and for scripts.

use clap::Args;

use super::super::exit::Exit;
use super::super::output::{self, Table};
use super::super::{Ended, Place};
use super::of_order;
use crate::domain::{Expectation, MerchantTrace, Mode};
use crate::ledger::Orders;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Only orders for which no money has come.
    #[arg(long)]
    open: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, wanted: &Arguments) -> Ended {
    let which = if wanted.open { Orders::Open } else { Orders::All };
    place.look(|reader| {
        if wanted.json {
            reader.expectations(which, |order| output::line(of_order(&order)))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(&["CREATED (UTC)", "INTEGRATION", "REFERENCE", ">AMOUNT", "DUE (UTC)", "TRACE"]);
        reader.expectations(which, |order| {
            table.row(row(&order));
            true
        })?;
        table.print(match which {
            Orders::All => "nothing is expected",
            Orders::Open => "nothing is expected for which no money has come",
        });
        Ok(Exit::Done)
    })
}

fn row(order: &Expectation) -> [String; 6] {
    let minute = "%Y-%m-%d %H:%M";
    let test = if order.mode == Mode::Test { " [test]" } else { "" };
    [
        order.created.format(minute).to_string(),
        format!("{}{test}", order.integration),
        order.reference.to_string(),
        format!("{} {}", order.currency.label(), order.amount),
        order.due.map_or_else(|| "-".into(), |due| due.format(minute).to_string()),
        order.trace.as_ref().map_or("-", MerchantTrace::as_str).into(),
    ]
}
