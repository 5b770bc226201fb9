//! What does not add up, for a report: read in the transaction of the run that found it, and put into what was counted.

use std::io;

use rusqlite::{Connection, Row};

use super::chain::Link;
use super::report::{ATTACHED, Counted, unwritten};
use super::rows::{self, millis};
use crate::books::{Discrepancies, DiscrepancyRow};
use crate::domain::report::{FindingRow, Findings, LISTED};
use crate::domain::{
    Class, GatewayKey, GatewayReference, IntegrationName, Mode, Report, Severity, Timestamp, without_phones,
};

/// A finding as the ledger has it, with what it is about.
struct Stored {
    id: i64,
    class: Class,
    state: String,
    expected: String,
    found: String,
    opened: Timestamp,
    resolved: Option<Timestamp>,
    integration: IntegrationName,
    mode: Mode,
    reference: Option<String>,
    number: Option<GatewayReference>,
    key: Option<GatewayKey>,
}

impl Stored {
    /// How long it has been, or was, open.
    fn age(&self, now: Timestamp) -> chrono::TimeDelta {
        (self.resolved.unwrap_or(now) - self.opened).max(chrono::TimeDelta::zero())
    }

    fn severity(&self, now: Timestamp) -> Severity {
        self.class.severity(self.age(now))
    }

    /// Whether a person who owns the shop should look at it.
    fn needs_a_person(&self, now: Timestamp) -> bool {
        self.mode == Mode::Live && self.severity(now) >= Severity::Warning
    }

    /// What comes first: real money, then what is urgent, then what is old.
    fn order(&self, now: Timestamp) -> impl Ord + use<> {
        let urgency = self.severity(now);
        (self.state != "open", self.mode == Mode::Test, std::cmp::Reverse(urgency), self.opened, self.id)
    }

    fn row(&self, now: Timestamp, newest_before: i64) -> FindingRow {
        // A key that is a GUID is as good as the address that the gateway is asked at.
        let key = || self.key.as_ref().filter(|key| key.guid().is_none()).map(ToString::to_string);
        let number = || self.number.as_ref().map(ToString::to_string).or_else(key);
        let number = || number().map(|number| format!("Paynow {number}"));
        FindingRow {
            id: self.id,
            class: self.class,
            severity: self.severity(now),
            mode: self.mode,
            integration: self.integration.clone(),
            reference: self.reference.clone().or_else(number),
            expected: self.expected.clone(),
            found: self.found.clone(),
            opened: self.opened,
            new: self.id > newest_before,
        }
    }
}

impl Counted {
    /// The report with what does not add up `now`, and its file of findings. An earlier report was made at `before` and
    /// knew findings up to the number `newest_before`.
    pub(super) fn completed(
        &self,
        connection: &Connection,
        head: Link,
        before: Option<Timestamp>,
        newest_before: i64,
        now: Timestamp,
    ) -> rusqlite::Result<(Report, Vec<u8>)> {
        let mut findings = Findings::default();
        let (mut kept, mut seen, mut listable): (Vec<Stored>, usize, u64) = (Vec::new(), 0, 0);
        for (statement, since) in [(OPEN, None), (RESOLVED, Some(millis(before.unwrap_or(self.report.days.from()))))] {
            let statement = format!("{COLUMNS} {statement}");
            let mut statement = connection.prepare_cached(&statement)?;
            let mut rows = match since {
                None => statement.query([])?,
                Some(since) => statement.query([since])?,
            };
            while let Some(row) = rows.next()? {
                let finding = stored(row, &self.report.integrations)?;
                seen += 1;
                let severe = finding.severity(now) >= Severity::Warning;
                if finding.state != "open" {
                    findings.resolved += u64::from(finding.needs_a_person(now));
                } else if !finding.needs_a_person(now) {
                    listable += u64::from(severe);
                    findings.others += 1;
                } else if finding.id > newest_before {
                    listable += 1;
                    findings.opened += 1;
                } else {
                    listable += 1;
                    findings.carried += 1;
                    findings.oldest = Some(findings.oldest.map_or(finding.opened, |oldest| oldest.min(finding.opened)));
                }
                kept.push(finding);
                if kept.len() == 2 * ATTACHED {
                    kept.sort_by_cached_key(|finding| finding.order(now));
                    kept.truncate(ATTACHED);
                }
            }
        }
        kept.sort_by_cached_key(|finding| finding.order(now));
        kept.truncate(ATTACHED);

        let listed = kept.iter().filter(|it| it.state == "open" && it.severity(now) >= Severity::Warning).take(LISTED);
        findings.rows = listed.map(|finding| finding.row(now, newest_before)).collect();
        findings.more = listable.saturating_sub(findings.rows.len() as u64);
        let file = file(&kept, now).map_err(unwritten)?;
        let mut report = self.report.clone();
        report.made = now;
        report.findings = findings;
        report.findings_left_out = seen.saturating_sub(kept.len()) as u64;
        report.health.head = head;
        Ok((report, file))
    }
}

/// What [`stored`] reads, in its order.
const COLUMNS: &str = "SELECT discrepancy.id, class, discrepancy.state, expected, found, opened, resolved, name, \
     coalesce(payment.reference, expectation.reference), gateway_reference, payment.mode, expectation.mode, gateway_key \
     FROM discrepancy JOIN integration ON integration.id = discrepancy.integration_id \
     LEFT JOIN payment ON payment.id = discrepancy.payment_id \
     LEFT JOIN expectation ON expectation.id = discrepancy.expectation_id";

/// Every open finding.
const OPEN: &str = "WHERE discrepancy.state = 'open'";

/// Findings resolved after an instant. The plus keeps SQLite from reading every finding of an integration.
const RESOLVED: &str = "WHERE resolved > ?1 AND +discrepancy.state = 'resolved'";

/// The statements that read findings.
#[cfg(test)]
pub(super) fn statements() -> [String; 2] {
    [OPEN, RESOLVED].map(|such| format!("{COLUMNS} {such}"))
}

fn stored(row: &Row<'_>, integrations: &[(IntegrationName, Mode)]) -> rusqlite::Result<Stored> {
    let integration = rows::text(row, 7, |text| IntegrationName::parse(text).ok())?;
    let class = rows::text(row, 1, Class::from_code)?;
    let of_payment = rows::maybe(row, 10, Mode::from_code)?;
    let modes = [of_payment, rows::maybe(row, 11, Mode::from_code)?];
    let mut modes = modes.into_iter().flatten().peekable();
    // Test money where real money is expected, or the reverse, is always about real money.
    let mode = if class == Class::TestMoney || modes.peek().is_some() {
        let test = class != Class::TestMoney && modes.all(|mode| mode == Mode::Test);
        if test { Mode::Test } else { Mode::Live }
    } else {
        integrations.iter().find(|(name, _)| *name == integration).map_or(Mode::Live, |(_, mode)| *mode)
    };
    let masked = |at| row.get::<_, String>(at).map(|text| without_phones(&text));
    Ok(Stored {
        id: row.get(0)?,
        class,
        state: row.get(2)?,
        expected: masked(3)?,
        found: masked(4)?,
        opened: rows::instant(row, 5)?,
        resolved: rows::maybe_instant(row, 6)?,
        integration,
        mode,
        reference: row.get::<_, Option<String>>(8)?.map(|text| without_phones(&text)),
        number: rows::maybe(row, 9, |text| GatewayReference::parse(text).ok())?,
        key: of_payment.map(|_| rows::gateway_key(row, 12)).transpose()?,
    })
}

/// `discrepancies.csv` of these findings.
fn file(findings: &[Stored], now: Timestamp) -> io::Result<Vec<u8>> {
    let mut file = Discrepancies::new(Vec::new())?;
    for finding in findings {
        file.row(&DiscrepancyRow {
            id: finding.id,
            class: finding.class,
            state: &finding.state,
            integration: &finding.integration,
            mode: finding.mode,
            reference: finding.reference.as_deref(),
            expected: &finding.expected,
            found: &finding.found,
            opened: finding.opened,
            age: finding.age(now),
        })?;
    }
    file.finish()
}
