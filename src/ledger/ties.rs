//! Which payment may stand for an order: the one that its poll URL or trace leads to, unless the gateway says that this
//! is somebody else's.

use super::states;
use crate::domain::{Status, Trust};

/// What `str::trim` takes away, but for the control characters that no reference has: as text of SQL. SQLite's own
/// `trim` takes spaces alone.
const BLANKS: &str = "'\u{20}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\
     \u{2009}\u{200a}\u{202f}\u{205f}\u{3000}'";

/// The condition that the row `payment` is a payment for the order of the row `order`. Until the gateway has named a
/// reference, the poll URL alone says so; from then on blanks around it are all by which the two may differ.
pub(super) fn carries(payment: &str, order: &str) -> String {
    // Equal as they stand, nearly always: that is cheaper to see.
    format!(
        "({payment}.reference IS NULL OR {payment}.reference = {order}.reference \
         OR trim({payment}.reference, {BLANKS}) = trim({order}.reference, {BLANKS}))"
    )
}

/// The condition that no payment stands for the order of the row of `expectation`.
pub(super) fn untied() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM payment AS tied WHERE tied.id = expectation.payment_id AND {})",
        carries("tied", "expectation")
    )
}

/// The condition that no payment has paid the order of the row of `expectation`, neither the one that stands for it nor
/// one of its reference.
pub(super) fn unpaid() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM payment AS tied WHERE tied.id = expectation.payment_id AND {} AND {}) \
         AND NOT EXISTS (SELECT 1 FROM payment INDEXED BY payment_by_reference \
         WHERE payment.reference = expectation.reference AND payment.integration_id = expectation.integration_id AND {})",
        carries("tied", "expectation"),
        has_proven_money("tied"),
        has_proven_money("payment")
    )
}

/// The condition that the row `payment` has had money, and that more than a post vouches for it: what
/// [`Known::has_proven_money`](crate::domain::Known::has_proven_money) says of one that was paid.
fn has_proven_money(payment: &str) -> String {
    format!(
        "{payment}.paid_at IS NOT NULL AND ({payment}.trust <> '{}' OR {payment}.proven IN {})",
        Trust::Reported.code(),
        states::statuses(Status::has_had_money)
    )
}

#[cfg(test)]
mod tests {
    use super::BLANKS;
    use crate::domain::Reference;

    #[test]
    fn blanks_are_those_that_every_other_comparison_trims() {
        let mut blanks = (char::MIN..=char::MAX)
            .filter(|c| c.is_whitespace() && Reference::parse(&c.to_string()).is_ok())
            .collect::<String>();
        blanks.insert(0, '\'');
        blanks.push('\'');
        assert_eq!(BLANKS, blanks);
    }
}
