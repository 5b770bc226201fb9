//! The gateway's leg of a run: everything that can still change, and what became final of late, is asked about once
//! more, and what is looked for by trace is looked for. This only says what is due and waits; whoever polls the ledger
//! asks, here or in the daemon beside a command.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Clock;
use crate::domain::report::Checked;
use crate::ledger::{Ledger, LedgerError, Place, Subject, Sweep};

/// How often to look whether answers have come.
const LOOK: Duration = Duration::from_millis(20);

/// How long nothing may come back before what is waited for is said to be due once more: an answer from before the run
/// that was stored after it began leaves nothing due.
const AGAIN: Duration = Duration::from_secs(1);

/// What a gateway says of an order that it knows no payment for.
const NOT_FOUND: &str = "not-found";

/// How patiently a sweep waits.
#[derive(Clone, Copy, Debug)]
pub struct SweepSettings {
    /// How many are due at once: several times as many as are asked at once, so that nobody who asks runs dry.
    pub slice: usize,
    /// How long nothing at all may come back before the rest is left.
    pub stalled: Duration,
    /// How long the whole may take before the rest is left.
    pub within: Duration,
}

/// Has the gateway asked about everything of `what`. Asking stays as polite as it ever is.
///
/// # Errors
/// The ledger could not be read or written; the run is made up later.
pub async fn sweep(
    ledger: &Ledger,
    clock: &Clock,
    what: &Sweep,
    settings: SweepSettings,
) -> Result<Checked, LedgerError> {
    let mut checked = Checked::default();
    let mut place = Some(Place::default());
    let mut waiting: HashSet<Subject> = HashSet::new();
    let (start, mut heard, mut given_up) = (Instant::now(), Instant::now(), false);
    let mut said = Instant::now();
    loop {
        while let Some(from) = place.filter(|_| given_up || waiting.len() <= settings.slice / 2) {
            let slice = ledger.reader().slice(what.clone(), from, settings.slice).await?;
            place = slice.next;
            let orders = slice.subjects.iter().filter(|subject| matches!(subject, Subject::Order(_))).count();
            checked.payments += count(slice.subjects.len() - orders);
            checked.traced += count(orders);
            if given_up {
                checked.left += count(slice.subjects.len());
            } else if !slice.subjects.is_empty() {
                waiting.extend(&slice.subjects);
                ledger.ask(slice.subjects, what.began, clock.now()).await?;
            }
        }
        if waiting.is_empty() {
            return Ok(checked);
        }
        let brought = ledger.reader().brought(waiting.iter().copied().collect(), (what.began, clock.now())).await?;
        for (subject, brought) in brought {
            waiting.remove(&subject);
            heard = Instant::now();
            match (subject, brought) {
                (Subject::Payment(_), Ok(())) => checked.answered += 1,
                (Subject::Order(_), Ok(())) => checked.found += 1,
                // An answer too, but for a payment.
                (Subject::Order(_), Err(code)) if code == NOT_FOUND => {}
                (_, Err(code)) => *checked.unanswered.entry(code).or_default() += 1,
            }
        }
        if start.elapsed() > settings.within || heard.elapsed() > settings.stalled {
            given_up = true;
            checked.left += count(waiting.drain().count());
        } else if !waiting.is_empty() {
            if heard.max(said).elapsed() > AGAIN {
                ledger.ask(waiting.iter().copied().collect(), what.began, clock.now()).await?;
                said = Instant::now();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn count(some: usize) -> u64 {
    u64::try_from(some).unwrap_or(u64::MAX)
}
