//! What a [`Snapshot`](super::Snapshot) asks of the file, and how the rows are read that answer it.

use chrono::NaiveDate;
use rusqlite::Row;

use super::{expectations, rows, states, ties};
use crate::domain::{Class, Held, Standing, Status};

/// Where the further columns of [`payments_statement`] begin, behind those of a known payment.
pub(super) const FURTHER: usize = rows::PAYMENT_COLUMNS + rows::KNOWN_COLUMNS;

/// Findings on record that a comparison has to know of: open, or resolved by a person.
pub(super) const STANDS: &str = "(state = 'open' OR actor IS NOT NULL)";

/// The columns that [`held`] reads, in its order.
pub(super) const HELD: &str = "SELECT id, class, subject, expected, found, state = 'open', payment_id FROM discrepancy";

/// Those about payments.
pub(super) const OF_PAYMENTS: &str = "INDEXED BY discrepancy_by_payment WHERE payment_id IS NOT NULL";

/// What changed since, what is still asked about, and what has an open finding; each with the order that it stands for
/// by name, else the one of its reference.
pub(super) fn payments_statement() -> String {
    format!(
        "SELECT {}, {}, payment.integration_id, EXISTS (SELECT 1 FROM settlement WHERE settlement.payment_id = payment.id), \
         NOT {}, {} FROM payment JOIN integration ON integration.id = payment.integration_id \
         LEFT JOIN expectation ON expectation.id = coalesce( \
         (SELECT min(named.id) FROM expectation AS named WHERE named.payment_id = payment.id AND {}), \
         (SELECT ours.id FROM expectation AS ours WHERE ours.integration_id = payment.integration_id \
         AND ours.reference = payment.reference)) \
         WHERE payment.id IN (SELECT id FROM payment WHERE last_changed >= ?1 \
         UNION ALL SELECT id FROM payment WHERE poll_due IS NOT NULL \
         UNION ALL SELECT payment_id FROM discrepancy WHERE state = 'open' AND payment_id IS NOT NULL) \
         AND (?2 IS NULL OR integration.name = ?2) ORDER BY payment.id",
        rows::PAYMENT,
        rows::KNOWN,
        ties::untied(),
        expectations::EXPECTATION,
        ties::carries("payment", "named")
    )
}

/// Orders taken or looked for since, that no payment is known to pay, those that lead to a payment of another reference
/// which is news, and those that have an open finding.
pub(super) fn orders_statement() -> String {
    let money = format!("IN {}", states::statuses(Status::has_had_money));
    let (untied, carries) = (ties::untied(), ties::carries("payment", "expectation"));
    let paid = format!(
        "EXISTS (SELECT 1 FROM payment WHERE payment.id = expectation.payment_id AND status {money} AND {carries})"
    );
    format!(
        "SELECT {}, trace_answer IS 'not-found', NOT {untied} OR EXISTS (SELECT 1 FROM payment \
         WHERE payment.reference = expectation.reference AND payment.integration_id = expectation.integration_id), \
         {paid} OR EXISTS (SELECT 1 FROM payment WHERE payment.reference = expectation.reference \
         AND payment.integration_id = expectation.integration_id AND status {money}), \
         iif(?3, (SELECT other.name FROM payment JOIN integration AS other ON other.id = payment.integration_id \
         WHERE payment.reference = expectation.reference AND payment.mode <> expectation.mode AND status {money} \
         AND payment.integration_id <> expectation.integration_id ORDER BY payment.id LIMIT 1), NULL), \
         (SELECT payment.reference FROM payment WHERE payment.id = expectation.payment_id AND NOT {carries}) \
         FROM expectation JOIN integration ON integration.id = integration_id WHERE integration_id = ?1 \
         AND (((created >= ?2 OR traced >= ?2) AND (expectation.payment_id IS NULL OR (?3 AND NOT {paid}))) \
         OR EXISTS (SELECT 1 FROM payment WHERE payment.id = expectation.payment_id \
         AND max(created, last_changed) >= ?2 AND NOT {carries}) \
         OR expectation.id IN (SELECT expectation_id FROM discrepancy WHERE state = 'open' \
         AND expectation_id IS NOT NULL)) ORDER BY expectation.id",
        expectations::EXPECTATION
    )
}

pub(super) fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        id: row.get(0)?,
        says: Standing {
            class: rows::text(row, 1, Class::from_code)?,
            subject: row.get(2)?,
            expected: row.get(3)?,
            found: row.get(4)?,
        },
        open: row.get(5)?,
        about_payment: row.get::<_, Option<i64>>(6)?.is_some(),
    })
}

pub(super) fn held_of_payment(row: &Row<'_>) -> rusqlite::Result<(i64, Held)> {
    Ok((row.get(6)?, held(row)?))
}

pub(super) fn maybe_day(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<NaiveDate>> {
    rows::maybe(row, at, |text| text.parse().ok())
}
