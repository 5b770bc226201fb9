//! Refused posts, read again under today's keys: what verifies now goes through the ordinary door, in the order in
//! which it came; what does not, stays and says why.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use serde_json::json;

use super::super::exit::Exit;
use super::super::{Ended, Place, block_on, output, unavailable};
use super::{Which, numbers};
use crate::config::{Config, IntegrationConfig};
use crate::daemon;
use crate::domain::{Outcome, Status};
use crate::ledger::{Admission, Arrival, Ledger, LedgerError, Reader, Recorded, Role};
use crate::protocol::Post;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// These.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<i64>,
    /// All that pass the filters.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What became of one post.
enum Fate {
    /// In the ledger now.
    Recorded(Recorded),
    /// Still in quarantine.
    Stayed(String),
}

pub(super) fn run(place: &Place, wanted: &Arguments) -> Ended {
    let (config, _) = place.config()?;
    let all = block_on(release(&config, wanted))?.map_err(|error| unavailable(&config.ledger.path, &error))?;
    Ok(if all { Exit::Done } else { Exit::No })
}

/// Releases what was asked for. Returns whether nothing of it stayed.
async fn release(config: &Config, wanted: &Arguments) -> Result<bool, LedgerError> {
    // Looked for before opening for writing: that would make a ledger where there is none.
    let reader = Reader::open(&config.ledger.path)?;
    let ids = if wanted.all { numbers(&reader, &wanted.which.filter(&reader)?)? } else { wanted.ids.clone() };
    if ids.is_empty() {
        output::complain(&"nothing of that kind is in quarantine");
        return Ok(true);
    }
    let integrations: HashMap<&str, &IntegrationConfig> =
        config.integrations.iter().map(|integration| (integration.name.as_str(), integration)).collect();
    let ledger = Ledger::open(&daemon::ledger_settings(config), Role::Command)?;
    let mut all = true;
    let mut failed = None;
    for id in ids {
        match one(&ledger, &integrations, id).await {
            Ok(fate) => {
                all &= matches!(fate, Fate::Recorded(_));
                if !tell(id, &fate, wanted.json) {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    ledger.close();
    failed.map_or(Ok(all), Err)
}

/// Records the post if it verifies. First into the ledger, then out of quarantine: whatever happens between, it is not
/// lost, and recorded twice it is a repetition.
async fn one(ledger: &Ledger, integrations: &HashMap<&str, &IntegrationConfig>, id: i64) -> Result<Fate, LedgerError> {
    let Some((post, body)) = ledger.reader().quarantined(id)? else {
        return Ok(Fate::Stayed("nothing in quarantine has this number".into()));
    };
    let Some(integration) = integrations.get(post.integration.as_str()) else {
        return Ok(Fate::Stayed(format!("integration {} is not configured", post.integration)));
    };
    let signatures: Vec<&[u8]> = post.signatures.iter().map(String::as_bytes).collect();
    let read = integration.gateway.read_post(&Post { body: &body, signatures: &signatures }, Utc::now());
    let seen = match read {
        Ok(seen) => seen,
        Err(rejection) => return Ok(Fate::Stayed(rejection.to_string())),
    };
    let arrival = Arrival::new(post.peer, &signatures);
    let recorded = ledger.record(seen, Some(arrival), Arc::clone(&integration.terms), Admission::Wait).await?;
    let contradicts = recorded.outcome == Outcome::Contradicted;
    if recorded.kept || !contradicts {
        ledger.discard(vec![id]).await?;
    }
    Ok(match (contradicts, recorded.kept) {
        // The ordinary door has put it into quarantine again, under a new number.
        (true, true) => {
            Fate::Stayed("authentic, but it contradicts what is known of the payment; kept under a new number".into())
        }
        (true, false) => Fate::Stayed("authentic, but it contradicts what is known of the payment".into()),
        (false, _) => Fate::Recorded(recorded),
    })
}

/// `false` once nobody reads any more.
fn tell(id: i64, fate: &Fate, as_json: bool) -> bool {
    match fate {
        Fate::Recorded(Recorded { outcome, status, .. }) if as_json => output::line(
            json!({"id": id, "released": true, "outcome": outcome.code(), "status": Status::code(*status), "reason": null}),
        ),
        Fate::Stayed(reason) if as_json => {
            output::line(json!({"id": id, "released": false, "outcome": null, "status": null, "reason": reason}))
        }
        Fate::Recorded(Recorded { outcome, status, .. }) => {
            output::line(format!("{id}: recorded ({}); the payment is {} now", outcome.code(), status.label()))
        }
        Fate::Stayed(reason) => output::line(crate::mailer::shown(&format!("{id}: stays: {reason}"))),
    }
}
