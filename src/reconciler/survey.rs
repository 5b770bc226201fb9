//! Everything that the ledger holds, compared matter by matter, and what follows from it. Reads one moment of the
//! ledger and decides; neither asks nor writes.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::RunSettings;
use super::run::span;
use crate::domain::compare::{Refusals, Tallies};
use crate::domain::{IntegrationName, Matter, Mode, Rules, Timestamp, compare, diff};
use crate::ledger::{Case, Changes, LedgerError, Practice, RefusedAlike, Snapshot, Span};
use crate::protocol::doctor::Specimen;
use crate::protocol::{Integration, Integrations, Post};

/// How far back payments are looked at in any case: the slowest settlement, and a holiday.
const AT_LEAST: TimeDelta = TimeDelta::days(15);

/// One integration that is looked at.
struct Part {
    case: Case,
    integration: Arc<Integration>,
    practice: Practice,
}

/// What has to be done so that the record says what is found, of one integration or of all that are configured.
pub(super) fn survey(
    snapshot: &Snapshot,
    integrations: &Integrations,
    settings: &RunSettings,
    only: Option<&IntegrationName>,
    reported_from: Timestamp,
    now: Timestamp,
) -> Result<Changes, LedgerError> {
    let has = |mode| integrations.all().iter().any(|integration| integration.terms.mode == mode);
    let look_back = span(settings.look_back);
    let looked_at = Span {
        integration: only.cloned(),
        changed_since: snapshot.reaching_back(now - look_back.max(AT_LEAST))?,
        both_modes: has(Mode::Live) && has(Mode::Test),
    };
    let mut parts = Vec::new();
    for (case, name) in snapshot.integrations()? {
        let wanted = only.is_none_or(|only| *only == name);
        // What is configured no more has no rules: its findings stay as they are.
        if let Some(integration) = integrations.find(name.as_str()).filter(|_| wanted) {
            parts.push(Part { case, integration, practice: snapshot.practice(case)? });
        }
    }
    let mut rules: HashMap<&str, (Rules<'_>, Tallies)> = HashMap::new();
    for Part { integration, practice, .. } in &parts {
        let terms = &integration.terms;
        let of = Rules {
            now,
            tolerance: terms.tolerance,
            confirmable: integration.gateway.confirmable(),
            announce_after: span(terms.announce_after),
            escrow_after: span(settings.escrow_after),
            look_back,
            schedule: &terms.schedule,
            reported_from,
            expecting_since: practice.expecting_since,
            payouts: practice.payouts,
        };
        rules.insert(integration.name.as_str(), (of, Tallies::default()));
    }

    let mut changes = Changes::default();
    snapshot.payments(&looked_at, |case, account, held| {
        let payment = &account.known.payment;
        if let Some((rules, tallies)) = rules.get_mut(payment.integration.as_str()) {
            tallies.count(payment, rules);
            changes.add(case, diff(compare(&Matter::Payment(account), rules), held));
        }
    })?;
    for Part { case, integration, .. } in &parts {
        let Some((rules, tallies)) = rules.get_mut(integration.name.as_str()) else { continue };
        snapshot.orders(*case, &looked_at, |case, order, held| {
            changes.add(case, diff(compare(&Matter::Order(order), rules), held));
        })?;
        let refused = snapshot.refused(*case, now - look_back)?;
        tallies.refusals = refused.iter().map(|refused| examined(integration, refused)).collect();
        let mut found = compare(&Matter::Integration(tallies), rules);
        snapshot.lines(*case, |line| found.extend(compare(&Matter::Line(line), rules)))?;
        changes.add(*case, diff(found, &snapshot.held(*case)?));
    }
    Ok(changes)
}

/// What the matter is with posts that look alike: the mistake that was made, where the doctor knows it.
fn examined(integration: &Integration, refused: &RefusedAlike) -> Refusals {
    let signatures: Vec<&[u8]> = refused.signatures.iter().map(String::as_bytes).collect();
    let post = Post { body: &refused.body, signatures: &signatures };
    let claimed = integration.gateway.examine(&Specimen { post, expected: None }).claimed;
    let mistakes: Vec<String> =
        claimed.map(|fit| fit.mistakes.into_iter().map(|mistake| mistake.what).collect()).unwrap_or_default();
    let diagnosis = if mistakes.is_empty() { refused.reason.clone() } else { mistakes.join("; ") };
    Refusals { diagnosis, peer: refused.peer.clone() }
}
