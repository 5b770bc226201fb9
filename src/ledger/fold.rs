//! Every payment, folded from its events again and compared with its row: the row is a convenience, the events are the
//! truth. And every event is one that its payment leads to.

use rusqlite::{Connection, Statement};

use super::events;
use super::rows::{self, Event};
use super::verify::{Check, Verification, unreadable};
use crate::domain::{Amount, Payment, Status, Trust};

/// Compares every payment, one at a time.
pub(super) fn compare(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let joined = "JOIN integration ON integration.id = integration_id";
    let columns = rows::PAYMENT;
    let mut payments =
        connection.prepare(&format!("SELECT {columns}, proven FROM payment LEFT {joined} ORDER BY payment.id"))?;
    let mut events = connection.prepare(&format!(
        "{} SELECT {}, payment_id = ?1 FROM about CROSS JOIN event ON event.id = about.id \
         JOIN payment ON payment.id = payment_id {joined} ORDER BY event.id",
        events::about("?1"),
        rows::EVENT
    ))?;
    let mut payments = payments.query([])?;
    let mut led_to = 0;
    while let Some(row) = payments.next()? {
        found.payments += 1;
        let stored = rows::payment(row)
            .and_then(|(id, payment)| Ok((id, payment, rows::maybe(row, rows::PAYMENT_COLUMNS, Status::from_code)?)));
        match stored {
            Ok((id, stored, proven)) => led_to += payment(&mut events, found, id, (&stored, proven))?,
            Err(error) => {
                let id = row.get(0)?;
                found.fault(Check::Fold, Some(("payment", id)), unreadable(row, &error));
            }
        }
    }
    let about_payments: i64 = connection.query_row("SELECT count(payment_id) FROM event", [], |row| row.get(0))?;
    if !found.fails(Check::Fold) && about_payments != led_to {
        let what = format!("of {about_payments} events about payments only {led_to} are found from these");
        found.fault(Check::Fold, None, what);
    }
    Ok(())
}

/// Folds the events of the payment numbered `id`. Returns how many it leads to, people's decisions included.
fn payment(
    events: &mut Statement<'_>,
    found: &mut Verification,
    id: i64,
    (stored, proven): (&Payment, Option<Status>),
) -> rusqlite::Result<i64> {
    let mut led_to = 0;
    let mut folded: Option<Payment> = None;
    let mut confirmed = None;
    let mut has_url = stored.poll_url.is_none();
    let mut rows = events.query([id])?;
    while let Some(row) = rows.next()? {
        let event: i64 = row.get(0)?;
        led_to += 1;
        if !row.get::<_, bool>(rows::EVENT_COLUMNS)? {
            let what = format!("the payment numbered {id} leads to it, but it is about another");
            found.fault(Check::Fold, Some(("event", event)), what);
            return Ok(led_to);
        }
        if rows::is_decision(row) {
            continue;
        }
        let Event { seen, outcome, after, .. } = match rows::event(row) {
            Ok(read) => read,
            Err(error) => {
                found.fault(Check::Fold, Some(("event", event)), unreadable(row, &error));
                return Ok(led_to);
            }
        };
        let Some(next) = Payment::fold(folded.as_ref(), &seen, outcome, stored.currency, stored.mode) else {
            let what = format!("{} cannot be what it was after the events before it", outcome.code());
            found.fault(Check::Fold, Some(("event", event)), what);
            return Ok(led_to);
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
            return Ok(led_to);
        }
        if next.trust == Trust::Confirmed {
            confirmed = Some(next.status);
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
    let confirmed = confirmed.filter(|_| stored.trust == Trust::Reported);
    let what = what.or_else(|| {
        let code = |status: Option<Status>| status.map_or("absent", Status::code);
        let what = || format!("its proven is {}; its events make it {}", code(proven), code(confirmed));
        (proven != confirmed).then(what)
    });
    if let Some(what) = what {
        found.fault(Check::Fold, Some(("payment", id)), what);
    }
    Ok(led_to)
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
