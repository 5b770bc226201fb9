//! The letter of a nightly run: from a report to its page, fit to be seen. It counts nothing and decides nothing.

use minijinja::Error;
use serde::Serialize;

use super::letter::{Content, rendered};
use super::report_figures::{ChartView, CurrencyView, Mean, charts, currencies};
use super::report_wording::{self as wording, NAME, fit, money, several};
use crate::domain::report::{FindingRow, Report};
use crate::domain::{Currency, IntegrationName, Mode, Sum, Timestamp};
use crate::ledger::Reported;

const TEXT: &str = include_str!("templates/report.txt");
const HTML: &str = include_str!("templates/report.html");

/// How long one side of a finding may be, in characters. The attachment has all of it.
const SIDE: usize = 200;
/// How many integrations are named.
const NAMED: usize = 12;
/// The words and files of the letter.
pub(super) fn content(reported: &Reported) -> Result<Content, Error> {
    let page = Page::of(&reported.report);
    let (text, html) = rendered(&page, ("report.txt", TEXT), ("report.html", HTML))?;
    let files = [("transactions.csv", &reported.transactions), ("discrepancies.csv", &reported.findings)];
    let attachments = files.into_iter().filter_map(|(name, file)| Some((name, file.clone()?))).collect();
    Ok(Content { subject: page.subject, text, html, attachments })
}

/// Everything the templates show.
#[derive(Serialize)]
struct Page {
    subject: String,
    days: String,
    zone: &'static str,
    integrations: String,
    paid: String,
    need_you: u64,
    need: String,
    findings: Vec<FindingView>,
    more: Option<String>,
    news: Vec<String>,
    totals: Vec<CurrencyView>,
    /// Money that is in none of these totals: of earlier days, or not confirmed.
    beside: Vec<String>,
    charts: Vec<ChartView>,
    apart: Vec<String>,
    test: Vec<CurrencyView>,
    checked: Vec<String>,
    health: Vec<(&'static str, String)>,
    head: String,
    left_out: Vec<String>,
}

#[derive(Serialize)]
struct FindingView {
    number: usize,
    severity: &'static str,
    urgency: String,
    title: &'static str,
    about: String,
    expected: String,
    found: String,
    next_step: &'static str,
    commands: Vec<String>,
}

impl Page {
    fn of(report: &Report) -> Self {
        let Report { days, totals, findings, .. } = report;
        let paid = totals.paid();
        let count: u64 = paid.iter().map(|(_, sum)| sum.count).sum();
        let sums: Vec<String> = paid.iter().map(|(currency, sum)| money(*currency, sum)).collect();
        let need_you = findings.need_you();
        let mean = match (report.has_a_week_before(), days.count()) {
            (false, _) => Mean::Unknown,
            (true, 1) => Mean::OfADay,
            (true, _) => Mean::OfADayOfMany,
        };
        Self {
            subject: wording::subject(days, &paid, need_you),
            days: if report.made < days.until() {
                format!("{}, so far", wording::long(days))
            } else {
                wording::long(days)
            },
            zone: days.zone().name(),
            integrations: integrations(report),
            paid: match count {
                0 => "No payment was paid.".to_owned(),
                _ => format!("{} paid: {}.", several(count, "payment", "payments"), wording::listed(&sums)),
            },
            need_you,
            need: match need_you {
                0 => "Nothing needs you.".to_owned(),
                1 => "1 finding needs you.".to_owned(),
                _ => format!("{} findings need you.", wording::count(need_you)),
            },
            findings: findings.rows.iter().enumerate().map(|(at, row)| finding(at + 1, row, report.made)).collect(),
            more: (findings.more > 0).then(|| {
                let more = wording::count(findings.more);
                format!("{more} more are in discrepancies.csv, and in the answer to")
            }),
            news: news(report),
            totals: currencies(&totals.live, mean),
            beside: beside(report),
            charts: charts(report),
            apart: apart(report),
            test: currencies(&totals.test, mean),
            checked: wording::checked(&report.checked, totals.unaskable),
            health: health(report),
            head: hex::encode(report.health.head),
            left_out: left_out(report),
        }
    }
}

/// What the attached files had no room for.
fn left_out(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    if report.transactions_left_out > 0 {
        let left = several(report.transactions_left_out, "payment", "payments");
        said.push(format!("There was no room in transactions.csv for {left}: paynowd export has them all."));
    }
    if report.findings_left_out > 0 {
        let left = several(report.findings_left_out, "finding", "findings");
        let has_all = "paynowd discrepancies list has them all";
        said.push(format!("There was no room in discrepancies.csv for the {left} least urgent: {has_all}."));
    }
    said
}

fn integrations(report: &Report) -> String {
    let name = |(name, mode): &(IntegrationName, Mode)| match mode {
        Mode::Live => name.to_string(),
        Mode::Test => format!("{name} (test)"),
    };
    let mut names: Vec<String> = report.integrations.iter().take(NAMED).map(name).collect();
    if let Some(more) = report.integrations.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    wording::listed(&names)
}

fn finding(number: usize, row: &FindingRow, made: Timestamp) -> FindingView {
    let name = row.reference.as_ref().map(|text| fit(text, NAME)).filter(|text| !text.is_empty());
    let age = if row.new { "new".to_owned() } else { format!("open for {}", wording::age(row.age(made))) };
    let test = row.mode == Mode::Test;
    FindingView {
        number,
        severity: if test { "test" } else { row.severity.code() },
        urgency: if test { "Test money".to_owned() } else { wording::urgency(row.severity).to_owned() },
        title: if row.is_about_a_suspect_post() { wording::SUSPECT_POST } else { wording::title(row.class) },
        about: name.into_iter().chain([row.integration.to_string(), age]).collect::<Vec<_>>().join(" · "),
        expected: fit(&row.expected, SIDE),
        found: fit(&row.found, SIDE),
        next_step: if test {
            "Nothing in the shop: this was a test. Tell whoever tests."
        } else {
            row.class.next_step()
        },
        commands: row
            .is_about_a_suspect_post()
            .then(|| format!("paynowd quarantine list --kind suspect --integration {}", row.integration))
            .into_iter()
            .chain([format!("paynowd discrepancies show {}", row.id)])
            .collect(),
    }
}

/// What became of what earlier reports told.
fn news(report: &Report) -> Vec<String> {
    let findings = &report.findings;
    let mut news = Vec::new();
    if let Some(oldest) = findings.oldest.filter(|_| findings.carried > 0) {
        let (carried, age) = (wording::count(findings.carried), wording::age(report.made - oldest));
        news.push(format!("Carried over from earlier reports: {carried}, the oldest open for {age}."));
    }
    if findings.opened > 0 && findings.carried > 0 {
        news.push(format!("New since the last report: {}.", wording::count(findings.opened)));
    }
    if findings.resolved > 0 {
        news.push(format!("Resolved since the last report: {}.", wording::count(findings.resolved)));
    }
    if findings.others > 0 {
        let others = wording::count(findings.others);
        news.push(format!("Only good to know, or about test money: {others} (see discrepancies.csv)."));
    }
    news
}

/// Money of earlier days that was confirmed too late for their letters or went back after them, and money that is only
/// said to be paid.
fn beside(report: &Report) -> Vec<String> {
    let line = |what: &str, currency: Currency, sum: &Sum| {
        let (payments, money) = (several(sum.count, "payment", "payments"), money(currency, sum));
        format!("{what}: {payments}, {money}.")
    };
    let confirmed = "Confirmed since, of earlier days and in none of their totals";
    let confirmed = report.confirmed_since.iter().map(|(currency, sum)| line(confirmed, *currency, sum));
    let reversed = report.reversed_since.iter().map(|(status, currency, sum)| {
        line(&format!("{} since, of earlier days and still in their totals", status.label()), *currency, sum)
    });
    let claims = "Said to be paid, not confirmed by Paynow and in no total";
    let claims = report.totals.claims.iter().map(|(currency, sum)| line(claims, *currency, sum));
    confirmed.chain(reversed).chain(claims).collect()
}

/// Money and orders that are in no total of these days.
fn apart(report: &Report) -> Vec<String> {
    let mut apart: Vec<String> = report.held.iter().map(|held| wording::held(held, report.made)).collect();
    if let Some(orders) = report.orders {
        let past_due = match orders.past_due {
            0 => String::new(),
            due => format!(", {} past due (paynowd expect list --open)", wording::count(due)),
        };
        apart.push(match orders.unpaid {
            0 => "Expected orders: every one is paid.".to_owned(),
            unpaid => format!("Expected orders not paid yet: {}{past_due}.", wording::count(unpaid)),
        });
    }
    for (currency, sum) in report.unsettled.iter().flatten() {
        let (payments, money) = (several(sum.count, "payment", "payments"), money(*currency, sum));
        apart.push(format!("Paid in the last 14 days and in no settlement file yet: {money} in {payments}."));
    }
    apart
}

fn health(report: &Report) -> Vec<(&'static str, String)> {
    let health = &report.health;
    let count = wording::count;
    let refused = health.refused.iter().map(|(why, times)| format!("{} {}", count(*times), wording::refusal(*why)));
    let refused: Vec<String> = refused.collect();
    let refused =
        if refused.is_empty() { "none refused".to_owned() } else { format!("refused: {}", refused.join(", ")) };
    let posts = format!("{} received, {} of them repeats; {refused}", count(health.posts), count(health.repeats));
    let unsent = match health.letters_refused {
        0 => String::new(),
        some => format!("; {} refused or given up in 14 days (paynowd mail list)", count(some)),
    };
    let day = |at: Timestamp| at.with_timezone(&report.days.zone()).format("%-d %B %Y").to_string();
    let old_keys = health.old_keys.iter().map(|key| {
        let (times, since, last) = (several(key.count, "message", "messages"), day(key.since), day(key.last));
        let what = format!("{} ({}), {times} since {since}, the last on {last}", key.integration, fit(&key.file, NAME));
        ("Still proven by an old key", what)
    });
    let mut lines = vec![
        ("Messages from Paynow", posts),
        ("Payments asked about", count(health.asked)),
        ("Letters", format!("{} waiting{unsent}", count(health.letters_waiting))),
        (
            "Ledger",
            format!(
                "{}, {}, {}",
                several(health.payments, "payment", "payments"),
                several(health.events, "event", "events"),
                wording::size(health.bytes)
            ),
        ),
        ("Report made", report.made.with_timezone(&report.days.zone()).format("%-d %B %Y, %H:%M").to_string()),
    ];
    lines.splice(2..2, old_keys);
    lines
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
