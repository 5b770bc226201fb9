//! `paynowd demo`: the whole job, on this machine, with nobody else involved. A simulated gateway, the real daemon in
//! a process of its own, a real ledger and real letters; then a check that both are what the script implies.

mod script;
mod stage;

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::output::{self, Table};
use super::simulate::stop_asked;
use super::{Ended, block_on, payments};
use crate::ledger::Filter;
use stage::{Stage, Trouble};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the demo keeps its ledger, letters and configuration. Emptied first.
    #[arg(long, default_value = "paynowd-demo")]
    directory: PathBuf,
    /// Keep everything running afterwards, to explore by hand.
    #[arg(long)]
    serve: bool,
}

pub(super) fn run(wanted: &Arguments) -> Ended {
    let sound = block_on(play(wanted))?.map_err(|trouble| {
        output::complain_of(&trouble);
        Exit::Unavailable
    })?;
    Ok(if sound { Exit::Done } else { Exit::No })
}

/// Plays the script. Returns whether ledger and letters are what it implies.
async fn play(wanted: &Arguments) -> Result<bool, Trouble> {
    let stage = Stage::set(&wanted.directory).await?;
    output::line(format!(
        "A simulated Paynow listens on {}, Poland's on {}, paynowd on {}.",
        stage.gateway.origin(),
        stage.poland.origin(),
        stage.public
    ));
    output::line("");
    let played = script::play(&stage).await;
    let sound = match &played {
        Ok(()) => true,
        Err(Trouble::Unexpected(surprise)) => {
            output::complain(surprise);
            false
        }
        Err(_) => return stage.strike().await.and(played.map(|()| true)),
    };
    show_ledger(&stage)?;
    show_letters(&stage)?;
    if wanted.serve {
        output::line("");
        output::line("Still running. In another terminal:");
        output::line(format!("  paynowd -c {}/daemon.toml payments list", wanted.directory.display()));
        output::line(format!("  open {}/ for the simulator's control pages", stage.gateway.origin()));
        output::line(format!("  open {}/ for those of Poland's", stage.poland.origin()));
        output::line(format!("  curl http://{}/readyz", stage.admin));
        let stop_asked = stop_asked().map_err(Trouble::of("listen for Ctrl-C"))?;
        output::line("Ctrl-C ends it.");
        stop_asked.await;
    }
    stage.strike().await?;
    output::line("");
    output::line(if sound {
        "Everything is as it should be: ledger and letters are what was played."
    } else {
        "Something is not as it should be; see above."
    });
    Ok(sound)
}

fn show_ledger(stage: &Stage) -> Result<(), Trouble> {
    let mut table =
        Table::new(&["FIRST SEEN (UTC)", "INTEGRATION", "REFERENCE", "PAYNOW", ">AMOUNT", "STATUS", "TRUST"]);
    stage.ledger.payments(&Filter::default(), |payment| {
        table.row(payments::row(&payment));
        true
    })?;
    output::line("");
    output::line(format!("The ledger, {}:", stage.ledger_file.display()));
    table.print("empty");
    Ok(())
}

fn show_letters(stage: &Stage) -> Result<(), Trouble> {
    let mut table = Table::new(&["SUBJECT", "FILE"]);
    for letter in stage.letters()? {
        table.row([letter.subject, letter.file.display().to_string()]);
    }
    output::line("");
    output::line("The letters:");
    table.print("none");
    Ok(())
}
