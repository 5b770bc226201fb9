//! Every payment, folded from its events again and compared with its row: the row is a convenience, the events are the
//! truth.

use rusqlite::{Connection, Statement};

use super::rows::{self, Event};
use super::verify::{Check, Verification, unreadable};
use crate::domain::{Amount, Payment};

/// Compares every payment, one at a time.
pub(super) fn compare(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let joined = "JOIN integration ON integration.id = integration_id";
    let mut payments =
        connection.prepare(&format!("SELECT {} FROM payment LEFT {joined} ORDER BY payment.id", rows::PAYMENT))?;
    let mut events = connection.prepare(&format!(
        "SELECT {} FROM event JOIN payment ON payment.id = payment_id {joined} WHERE payment_id = ?1 \
         AND channel <> 'operator' ORDER BY event.id",
        rows::EVENT
    ))?;
    let mut payments = payments.query([])?;
    while let Some(row) = payments.next()? {
        found.payments += 1;
        match rows::payment(row) {
            Ok((id, stored)) => payment(&mut events, found, id, &stored)?,
            Err(error) => {
                let id = row.get(0)?;
                found.fault(Check::Fold, Some(("payment", id)), unreadable(row, &error));
            }
        }
    }
    Ok(())
}

/// Folds the events of the payment numbered `id`.
fn payment(events: &mut Statement<'_>, found: &mut Verification, id: i64, stored: &Payment) -> rusqlite::Result<()> {
    let mut folded: Option<Payment> = None;
    let mut has_url = stored.poll_url.is_none();
    let mut rows = events.query([id])?;
    while let Some(row) = rows.next()? {
        let event: i64 = row.get(0)?;
        let Event { seen, outcome, after, .. } = match rows::event(row) {
            Ok(read) => read,
            Err(error) => {
                found.fault(Check::Fold, Some(("event", event)), unreadable(row, &error));
                return Ok(());
            }
        };
        let Some(next) = Payment::fold(folded.as_ref(), &seen, outcome, stored.currency, stored.mode) else {
            let what = format!("{} cannot be what it was after the events before it", outcome.code());
            found.fault(Check::Fold, Some(("event", event)), what);
            return Ok(());
        };
        if (next.status, next.trust) != after {
            let (status, trust) = after;
            let what = format!(
                "says that the payment is {} ({}) afterwards; the events make it {} ({})",
                status.code(),
                trust.code(),
                next.status.code(),
                next.trust.code()
            );
            found.fault(Check::Fold, Some(("event", event)), what);
            return Ok(());
        }
        has_url = has_url || stored.poll_url.as_ref().is_some_and(|url| mentions(&seen.body, url.as_str()));
        folded = Some(next);
    }
    let what = match &folded {
        None => Some("has no event".to_owned()),
        Some(folded) => difference(stored, folded).or_else(|| {
            let pinned = stored.poll_url.as_ref().is_none_or(|url| url.key() == stored.key);
            (!has_url || !pinned).then(|| "its poll_url is not in its events".to_owned())
        }),
    };
    if let Some(what) = what {
        found.fault(Check::Fold, Some(("payment", id)), what);
    }
    Ok(())
}

/// The first column in which a row is not what its events make of it.
fn difference(stored: &Payment, folded: &Payment) -> Option<String> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "absent".to_owned(), |value| value.to_string())
    }
    let columns = |payment: &Payment| {
        let facts = &payment.facts;
        [
            ("status", payment.status.code().to_owned()),
            ("trust", payment.trust.code().to_owned()),
            ("amount", text(facts.amount.map(Amount::ten_thousandths))),
            ("amount_paid", text(facts.amount_paid.map(Amount::ten_thousandths))),
            ("method", text(facts.method.as_ref())),
            ("posted", payment.posted.code().to_owned()),
            ("paid_at", text(payment.paid_at.map(|at| at.to_rfc3339()))),
            ("reference", text(facts.reference.as_ref())),
            ("gateway_reference", text(facts.gateway_reference.as_ref())),
            ("wire_status", text(payment.wire_status.as_ref())),
            ("first_seen", payment.first_seen.to_rfc3339()),
            ("last_changed", payment.last_changed.to_rfc3339()),
        ]
    };
    columns(stored)
        .into_iter()
        .zip(columns(folded))
        .find(|(stored, folded)| stored != folded)
        .map(|((column, stored), (_, folded))| format!("its {column} is {stored}; its events make it {folded}"))
}

/// Whether `text` stands in `body`, which may have written it with escapes.
fn mentions(body: &[u8], text: &str) -> bool {
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    plain.windows(text.len().max(1)).any(|window| window == text.as_bytes())
}
