//! `paynowd reconcile`: the nightly run, now. Works beside the daemon, which then does the asking.

use chrono::{NaiveDate, Utc};
use clap::Args as Options;
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{self, Table};
use super::{Ended, Place, block_on, unavailable};
use crate::config::Config;
use crate::daemon;
use crate::domain::{Checked, Days, GatewayKey, IntegrationName, Reference};
use crate::ledger::{Changes, Concluded, LedgerError, Moves, Reader};
use crate::reconciler::{Compared, Ran, Wanted};

#[derive(Debug, Options)]
pub(super) struct Arguments {
    /// Ask nobody and change nothing: only say what would be opened and closed.
    #[arg(long)]
    dry_run: bool,
    /// Report this day, rather than those since the last report: also today, as far as it has come.
    #[arg(long, value_name = "DAY", value_parser = super::when::day)]
    date: Option<NaiveDate>,
    /// Only this integration; nobody is written to.
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, arguments: &Arguments) -> Ended {
    let (config, _) = place.config()?;
    let wanted = wanted(&config, arguments).map_err(|trouble| {
        output::complain(&trouble);
        Exit::Usage
    })?;
    if arguments.dry_run {
        return rehearse(&config, &wanted, arguments.json).map_err(|error| unavailable(&config.ledger.path, &error));
    }
    let ran = block_on(daemon::reconcile(&config, &wanted))?.map_err(|error| {
        output::complain_of(&error);
        Exit::Unavailable
    })?;
    if arguments.json {
        output::line(of_run(&ran));
    } else {
        tell(&ran, wanted.integration.is_some());
    }
    Ok(Exit::Done)
}

/// What the command line asks for, if there is such a thing.
fn wanted(config: &Config, arguments: &Arguments) -> Result<Wanted, String> {
    let named = |name: &String| {
        let found = config.integrations.iter().find(|integration| integration.name.as_str() == name);
        let known = || config.integrations.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        found.map(|integration| integration.name.clone()).ok_or_else(|| {
            format!("--integration {name}: the configuration has no such integration; it has {}", known())
        })
    };
    let integration: Option<IntegrationName> = arguments.integration.as_ref().map(named).transpose()?;
    let zone = config.reconcile.timezone;
    let today = Utc::now().with_timezone(&zone).date_naive();
    if let Some(day) = arguments.date.filter(|day| *day > today) {
        return Err(format!("--date {day}: that day has not begun yet in {zone}"));
    }
    Ok(Wanted { integration, day: arguments.date })
}

/// Says what a run would do.
fn rehearse(config: &Config, wanted: &Wanted, as_json: bool) -> Result<Exit, LedgerError> {
    let Compared { days, changes, .. } = daemon::compare(config, wanted, Utc::now())?;
    let reader = Reader::open(&config.ledger.path)?;
    let opening = changes.opening().map(|(case, standing)| Ok((reader.named(case)?, standing)));
    let opening: Vec<_> = opening.collect::<Result<_, LedgerError>>()?;
    let closing = changes.closing().iter().map(|id| reader.discrepancy(*id));
    let closing: Vec<_> = closing.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if as_json {
        let opening = opening.iter().map(|(named, standing)| {
            json!({
                "class": standing.class.code(),
                "integration": named.integration.as_str(),
                "reference": named.reference.as_ref().map(Reference::as_str),
                "gateway_key": named.key.as_ref().map(GatewayKey::as_str),
                "expected": standing.expected,
                "found": standing.found,
            })
        });
        output::line(json!({
            "dry_run": true,
            "first_day": days.first().to_string(),
            "last_day": days.last().to_string(),
            "would_open": opening.collect::<Vec<_>>(),
            "would_close": closing.iter().map(|found| found.id).collect::<Vec<_>>(),
            "classes": of_moves(&changes.moves),
        }));
        return Ok(Exit::Done);
    }
    output::line("Nobody is asked and nothing is changed; as things stand:");
    let mut table = Table::new(&["WOULD", "CLASS", "INTEGRATION", "REFERENCE", "EXPECTED", "FOUND"]);
    let text = |reference: Option<&Reference>| reference.map_or_else(|| "-".to_owned(), ToString::to_string);
    for (named, standing) in &opening {
        table.row([
            "open".into(),
            standing.class.code().into(),
            named.integration.to_string(),
            text(named.reference.as_ref()),
            standing.expected.clone(),
            standing.found.clone(),
        ]);
    }
    for found in &closing {
        table.row([
            format!("close {}", found.id),
            found.class.code().into(),
            found.integration.to_string(),
            text(found.reference.as_ref()),
            found.expected.clone(),
            found.found.clone(),
        ]);
    }
    table.print("nothing would be opened or closed");
    kept(&changes);
    Ok(Exit::Done)
}

fn kept(changes: &Changes) {
    let kept: u64 = changes.moves.values().map(|moves| moves.kept).sum();
    if kept > 0 {
        output::line(format!("{kept} would stay open as they are"));
    }
}

/// What a run did, for people.
fn tell(ran: &Ran, one_only: bool) {
    let Ran { days, checked, moves, concluded } = ran;
    output::line(format!("Reconciled {}.", in_words(days)));
    let Checked { payments, answered, unanswered, traced, found, left } = checked;
    output::line(format!(
        "asked about {payments} payments and {traced} expected orders: {answered} answers, {found} found"
    ));
    for (code, count) in unanswered {
        output::line(crate::mailer::shown(&format!("not answered: {count} ({code})")));
    }
    if *left > 0 {
        output::line(format!("not asked about in time: {left}"));
    }
    let mut table = Table::new(&["CLASS", ">OPENED", ">KEPT", ">CLOSED"]);
    for (class, Moves { opened, kept, closed }) in moves {
        table.row([(*class).to_owned(), opened.to_string(), kept.to_string(), closed.to_string()]);
    }
    table.print("nothing new was found, and nothing was settled");
    output::line(match concluded {
        Concluded::Reported { letters: 0, need_you } => format!("{need_you} need you; there is nobody to write to"),
        Concluded::Reported { letters, need_you } => format!("{need_you} need you; letters written: {letters}"),
        Concluded::AlreadyReported | Concluded::Noted if one_only => {
            "nobody is written to: only one integration was looked at".into()
        }
        Concluded::AlreadyReported | Concluded::Noted => {
            format!("nobody is written to: {} was reported before", in_words(days))
        }
    });
}

fn in_words(days: &Days) -> String {
    let day = |day: NaiveDate| day.format("%-d %b %Y").to_string();
    if days.first() == days.last() {
        day(days.last())
    } else {
        format!("{} to {}", day(days.first()), day(days.last()))
    }
}

/// What a run did, for scripts.
fn of_run(ran: &Ran) -> Value {
    json!({
        "dry_run": false,
        "first_day": ran.days.first().to_string(),
        "last_day": ran.days.last().to_string(),
        "asked": {
            "payments": ran.checked.payments,
            "answered": ran.checked.answered,
            "unanswered": ran.checked.unanswered,
            "traced": ran.checked.traced,
            "found": ran.checked.found,
            "left": ran.checked.left,
        },
        "classes": of_moves(&ran.moves),
        "need_you": match ran.concluded {
            Concluded::Reported { need_you, .. } => Some(need_you),
            Concluded::AlreadyReported | Concluded::Noted => None,
        },
        "letters": match ran.concluded {
            Concluded::Reported { letters, .. } => letters,
            Concluded::AlreadyReported | Concluded::Noted => 0,
        },
    })
}

fn of_moves(moves: &std::collections::BTreeMap<&'static str, Moves>) -> Value {
    moves
        .iter()
        .map(|(class, Moves { opened, kept, closed })| {
            ((*class).to_owned(), json!({"opened": opened, "kept": kept, "closed": closed}))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}
