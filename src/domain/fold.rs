//! Events → payment: what the decisions wrote down, put together again. It decides nothing: the outcome of each event
//! is taken from the record, so that a ledger folds to the same payments under any later rules.

use super::{Channel, Currency, Mode, Observation, Outcome, Payment};

impl Payment {
    /// What `seen`, recorded as `outcome`, made of the payment so far. `None` for what no decision can have recorded: a
    /// payment that begins with a repetition, begins twice, or an outcome that is no event.
    ///
    /// `currency` and `mode` are the merchant's word, not the gateway's, and no event repeats them.
    pub fn fold(
        before: Option<&Self>,
        seen: &Observation,
        outcome: Outcome,
        currency: Currency,
        mode: Mode,
    ) -> Option<Self> {
        match (before, outcome) {
            (None, Outcome::Opened | Outcome::Unrecognised) => Some(Self::opened(seen, currency, mode)),
            (Some(before), Outcome::Moved | Outcome::Confirmed | Outcome::Corrected) => Some(before.moved(seen)),
            (Some(before), Outcome::Repeated | Outcome::Regressed | Outcome::Unrecognised) => {
                Some(match seen.channel {
                    Channel::Post | Channel::Button => before.completed(seen),
                    Channel::Poll | Channel::Trace | Channel::Import => before.clone(),
                })
            }
            (Some(_), Outcome::Opened)
            | (
                None,
                Outcome::Moved | Outcome::Confirmed | Outcome::Corrected | Outcome::Repeated | Outcome::Regressed,
            )
            | (_, Outcome::Agreed | Outcome::Contradicted) => None,
        }
    }
}
