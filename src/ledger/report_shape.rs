//! A report as JSON, the way it is stored with its run: codes for words, milliseconds for instants, text for sums that
//! a JSON number cannot hold. What this release does not write it does not read.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::domain::report::{FindingRow, Findings, Health, Held, OldKeyUse, Orders};
use crate::domain::tally::{DayTotal, Total};
use crate::domain::{
    Checked, Class, Currency, Days, IntegrationName, Method, Mode, Refusal, Report, Severity, Status, Sum, Timestamp,
    Totals,
};

#[derive(Serialize, Deserialize)]
struct ReportShape {
    /// The newest finding of any kind when the report was made: whatever comes later is new to the next one.
    newest_finding: i64,
    first_day: String,
    last_day: String,
    zone: String,
    made: i64,
    /// Not in reports of the first releases.
    #[serde(default)]
    heard_since: Option<i64>,
    integrations: Vec<(String, String)>,
    checked: CheckedShape,
    live: Vec<TotalShape>,
    test: Vec<TotalShape>,
    claims: Vec<(String, SumShape)>,
    /// Not in reports of the first releases.
    #[serde(default)]
    confirmed_since: Vec<(String, SumShape)>,
    #[serde(default)]
    reversed_since: Vec<(String, String, SumShape)>,
    chart: Vec<(String, String, SumShape)>,
    unaskable: u64,
    findings: FindingsShape,
    held: Vec<HeldShape>,
    orders: Option<(u64, u64)>,
    unsettled: Option<Vec<(String, SumShape)>>,
    health: HealthShape,
    transactions_left_out: u64,
    findings_left_out: u64,
}

#[derive(Serialize, Deserialize)]
struct CheckedShape {
    payments: u64,
    answered: u64,
    unanswered: BTreeMap<String, u64>,
    traced: u64,
    found: u64,
    left: u64,
}

#[derive(Serialize, Deserialize)]
struct SumShape {
    count: u64,
    ten_thousandths: String,
    unknown: u64,
}

#[derive(Serialize, Deserialize)]
struct TotalShape {
    currency: String,
    status: String,
    method: Option<String>,
    period: SumShape,
    day_before: SumShape,
    week_before: SumShape,
}

#[derive(Serialize, Deserialize)]
struct FindingsShape {
    rows: Vec<FindingShape>,
    more: u64,
    carried: u64,
    oldest: Option<i64>,
    opened: u64,
    resolved: u64,
    others: u64,
}

#[derive(Serialize, Deserialize)]
struct FindingShape {
    id: i64,
    class: String,
    severity: String,
    mode: String,
    integration: String,
    reference: Option<String>,
    expected: String,
    found: String,
    opened: i64,
    new: bool,
}

#[derive(Serialize, Deserialize)]
struct HeldShape {
    status: String,
    currency: String,
    sum: SumShape,
    oldest: i64,
}

#[derive(Serialize, Deserialize)]
struct HealthShape {
    posts: u64,
    repeats: u64,
    refused: BTreeMap<String, u64>,
    asked: u64,
    letters_waiting: u64,
    letters_refused: u64,
    old_keys: Vec<OldKeyShape>,
    payments: u64,
    /// Also the number of the newest event that was counted: the next report goes on from there.
    events: u64,
    bytes: u64,
    head: String,
}

#[derive(Serialize, Deserialize)]
struct OldKeyShape {
    integration: String,
    file: String,
    count: u64,
    since: i64,
    last: i64,
}

/// The report as JSON, with the number of the newest finding.
pub(super) fn write(report: &Report, newest_finding: i64) -> String {
    let Report {
        days,
        made,
        heard_since,
        integrations,
        checked,
        totals,
        findings,
        held,
        orders,
        unsettled,
        health,
        ..
    } = report;
    let sums =
        |sums: &[(Currency, Sum)]| sums.iter().map(|(currency, sum)| (currency.to_string(), (*sum).into())).collect();
    let shape = ReportShape {
        newest_finding,
        first_day: days.first().to_string(),
        last_day: days.last().to_string(),
        zone: days.zone().name().to_owned(),
        made: made.timestamp_millis(),
        heard_since: heard_since.map(|heard| heard.timestamp_millis()),
        integrations: integrations.iter().map(|(name, mode)| (name.to_string(), mode.code().to_owned())).collect(),
        checked: CheckedShape {
            payments: checked.payments,
            answered: checked.answered,
            unanswered: checked.unanswered.clone(),
            traced: checked.traced,
            found: checked.found,
            left: checked.left,
        },
        live: totals.live.iter().map(TotalShape::from).collect(),
        test: totals.test.iter().map(TotalShape::from).collect(),
        claims: sums(&totals.claims),
        confirmed_since: sums(&report.confirmed_since),
        reversed_since: report
            .reversed_since
            .iter()
            .map(|(status, currency, sum)| (status.code().to_owned(), currency.to_string(), (*sum).into()))
            .collect(),
        chart: totals.chart.iter().map(|day| (day.day.to_string(), day.currency.to_string(), day.sum.into())).collect(),
        unaskable: totals.unaskable,
        findings: FindingsShape {
            rows: findings.rows.iter().map(FindingShape::from).collect(),
            more: findings.more,
            carried: findings.carried,
            oldest: findings.oldest.map(|oldest| oldest.timestamp_millis()),
            opened: findings.opened,
            resolved: findings.resolved,
            others: findings.others,
        },
        held: held.iter().map(HeldShape::from).collect(),
        orders: orders.map(|orders| (orders.unpaid, orders.past_due)),
        unsettled: unsettled.as_deref().map(sums),
        health: HealthShape {
            posts: health.posts,
            repeats: health.repeats,
            refused: health.refused.iter().map(|(kind, posts)| (kind.code().to_owned(), *posts)).collect(),
            asked: health.asked,
            letters_waiting: health.letters_waiting,
            letters_refused: health.letters_refused,
            old_keys: health.old_keys.iter().map(OldKeyShape::from).collect(),
            payments: health.payments,
            events: health.events,
            bytes: health.bytes,
            head: hex::encode(health.head),
        },
        transactions_left_out: report.transactions_left_out,
        findings_left_out: report.findings_left_out,
    };
    serde_json::to_string(&shape).unwrap_or_default()
}

/// The report of what [`write`] wrote.
pub(super) fn read(text: &str) -> Option<Report> {
    let shape: ReportShape = serde_json::from_str(text).ok()?;
    let sums = |sums: Vec<(String, SumShape)>| {
        sums.into_iter().map(|(currency, sum)| Some((currency.parse().ok()?, sum.read()?))).collect::<Option<_>>()
    };
    let all = |totals: Vec<TotalShape>| totals.into_iter().map(TotalShape::read).collect::<Option<_>>();
    let mut head = [0; 32];
    hex::decode_to_slice(&shape.health.head, &mut head).ok()?;
    Some(Report {
        days: Days::new(shape.first_day.parse().ok()?, shape.last_day.parse().ok()?, shape.zone.parse().ok()?)?,
        made: instant(shape.made)?,
        heard_since: match shape.heard_since {
            Some(since) => Some(instant(since)?),
            None => None,
        },
        integrations: shape
            .integrations
            .into_iter()
            .map(|(name, mode)| Some((IntegrationName::parse(&name).ok()?, Mode::from_code(&mode)?)))
            .collect::<Option<_>>()?,
        checked: Checked {
            payments: shape.checked.payments,
            answered: shape.checked.answered,
            unanswered: shape.checked.unanswered,
            traced: shape.checked.traced,
            found: shape.checked.found,
            left: shape.checked.left,
        },
        totals: Totals {
            live: all(shape.live)?,
            test: all(shape.test)?,
            claims: sums(shape.claims)?,
            chart: shape
                .chart
                .into_iter()
                .map(|(day, currency, sum)| {
                    Some(DayTotal { day: day.parse().ok()?, currency: currency.parse().ok()?, sum: sum.read()? })
                })
                .collect::<Option<_>>()?,
            unaskable: shape.unaskable,
        },
        confirmed_since: sums(shape.confirmed_since)?,
        reversed_since: shape
            .reversed_since
            .into_iter()
            .map(|(status, currency, sum)| Some((Status::from_code(&status)?, currency.parse().ok()?, sum.read()?)))
            .collect::<Option<_>>()?,
        findings: Findings {
            rows: shape.findings.rows.into_iter().map(FindingShape::read).collect::<Option<_>>()?,
            more: shape.findings.more,
            carried: shape.findings.carried,
            oldest: match shape.findings.oldest {
                Some(oldest) => Some(instant(oldest)?),
                None => None,
            },
            opened: shape.findings.opened,
            resolved: shape.findings.resolved,
            others: shape.findings.others,
        },
        held: shape.held.into_iter().map(HeldShape::read).collect::<Option<_>>()?,
        orders: shape.orders.map(|(unpaid, past_due)| Orders { unpaid, past_due }),
        unsettled: match shape.unsettled {
            Some(unsettled) => Some(sums(unsettled)?),
            None => None,
        },
        health: Health {
            posts: shape.health.posts,
            repeats: shape.health.repeats,
            refused: shape
                .health
                .refused
                .into_iter()
                .map(|(kind, posts)| Some((Refusal::from_code(&kind)?, posts)))
                .collect::<Option<_>>()?,
            asked: shape.health.asked,
            letters_waiting: shape.health.letters_waiting,
            letters_refused: shape.health.letters_refused,
            old_keys: shape.health.old_keys.into_iter().map(OldKeyShape::read).collect::<Option<_>>()?,
            payments: shape.health.payments,
            events: shape.health.events,
            bytes: shape.health.bytes,
            head,
        },
        transactions_left_out: shape.transactions_left_out,
        findings_left_out: shape.findings_left_out,
    })
}

fn instant(millis: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_millis(millis)
}

impl From<Sum> for SumShape {
    fn from(sum: Sum) -> Self {
        Self { count: sum.count, ten_thousandths: sum.ten_thousandths.to_string(), unknown: sum.unknown }
    }
}

impl SumShape {
    fn read(self) -> Option<Sum> {
        Some(Sum { count: self.count, ten_thousandths: self.ten_thousandths.parse().ok()?, unknown: self.unknown })
    }
}

impl From<&Total> for TotalShape {
    fn from(total: &Total) -> Self {
        Self {
            currency: total.currency.to_string(),
            status: total.status.code().to_owned(),
            method: total.method.as_ref().map(ToString::to_string),
            period: total.period.into(),
            day_before: total.day_before.into(),
            week_before: total.week_before.into(),
        }
    }
}

impl TotalShape {
    fn read(self) -> Option<Total> {
        Some(Total {
            currency: self.currency.parse().ok()?,
            status: Status::from_code(&self.status)?,
            method: match self.method {
                Some(method) => Some(Method::parse(&method).ok()?),
                None => None,
            },
            period: self.period.read()?,
            day_before: self.day_before.read()?,
            week_before: self.week_before.read()?,
        })
    }
}

impl From<&FindingRow> for FindingShape {
    fn from(row: &FindingRow) -> Self {
        Self {
            id: row.id,
            class: row.class.code().to_owned(),
            severity: row.severity.code().to_owned(),
            mode: row.mode.code().to_owned(),
            integration: row.integration.to_string(),
            reference: row.reference.clone(),
            expected: row.expected.clone(),
            found: row.found.clone(),
            opened: row.opened.timestamp_millis(),
            new: row.new,
        }
    }
}

impl FindingShape {
    fn read(self) -> Option<FindingRow> {
        Some(FindingRow {
            id: self.id,
            class: Class::from_code(&self.class)?,
            severity: Severity::from_code(&self.severity)?,
            mode: Mode::from_code(&self.mode)?,
            integration: IntegrationName::parse(&self.integration).ok()?,
            reference: self.reference,
            expected: self.expected,
            found: self.found,
            opened: instant(self.opened)?,
            new: self.new,
        })
    }
}

impl From<&OldKeyUse> for OldKeyShape {
    fn from(used: &OldKeyUse) -> Self {
        Self {
            integration: used.integration.to_string(),
            file: used.file.clone(),
            count: used.count,
            since: used.since.timestamp_millis(),
            last: used.last.timestamp_millis(),
        }
    }
}

impl OldKeyShape {
    fn read(self) -> Option<OldKeyUse> {
        Some(OldKeyUse {
            integration: IntegrationName::parse(&self.integration).ok()?,
            file: self.file,
            count: self.count,
            since: instant(self.since)?,
            last: instant(self.last)?,
        })
    }
}

impl From<&Held> for HeldShape {
    fn from(held: &Held) -> Self {
        Self {
            status: held.status.code().to_owned(),
            currency: held.currency.to_string(),
            sum: held.sum.into(),
            oldest: held.oldest.timestamp_millis(),
        }
    }
}

impl HeldShape {
    fn read(self) -> Option<Held> {
        Some(Held {
            status: Status::from_code(&self.status)?,
            currency: self.currency.parse().ok()?,
            sum: self.sum.read()?,
            oldest: instant(self.oldest)?,
        })
    }
}
