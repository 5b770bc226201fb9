//! `paynowd expect list`: what is expected, for people and for scripts.

use clap::Args;

use super::super::exit::Exit;
use super::super::output::{self, Table};
use super::super::{Place, misconfigured};
use super::of_order;
use crate::config::LedgerConfig;
use crate::domain::{Expectation, MerchantTrace, Mode};
use crate::ledger::{Orders, Reader};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Only orders for which no money has come.
    #[arg(long)]
    open: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, wanted: &Arguments) -> Exit {
    let path = match LedgerConfig::load(place.file.as_deref(), &place.environment) {
        Ok(ledger) => ledger.path,
        Err(findings) => return misconfigured(&findings),
    };
    let which = if wanted.open { Orders::Open } else { Orders::All };
    let listed = Reader::open(&path).and_then(|reader| {
        if wanted.json {
            return reader.expectations(which, |order| output::line(of_order(&order)));
        }
        let mut table = Table::new(&["CREATED (UTC)", "INTEGRATION", "REFERENCE", ">AMOUNT", "DUE (UTC)", "TRACE"]);
        reader.expectations(which, |order| {
            table.row(row(&order));
            true
        })?;
        table.print("nothing is expected");
        Ok(())
    });
    match listed {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::complain(&path.display());
            output::complain_of(&error);
            Exit::Unavailable
        }
    }
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
