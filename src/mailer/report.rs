//! The letter of a nightly run: from a report to its page, fit to be seen. It counts nothing and decides nothing.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use minijinja::Error;
use serde::Serialize;

use super::letter::{Content, rendered};
use super::report_wording::{self as wording, money, several};
use super::shown;
use super::shown::shortened;
use crate::domain::report::{FindingRow, Report};
use crate::domain::tally::{CHART, Total};
use crate::domain::{Currency, Days, IntegrationName, Mode, Status, Sum, Timestamp, without_phones};
use crate::ledger::Reported;

const TEXT: &str = include_str!("templates/report.txt");
const HTML: &str = include_str!("templates/report.html");

/// How long the name of an order may be, in characters.
const NAME: usize = 60;
/// How long one side of a finding may be, in characters. The attachment has all of it.
const SIDE: usize = 200;
/// How many integrations are named.
const NAMED: usize = 12;
/// How many characters the longest bar of the chart has in the text part.
const BAR: u64 = 24;

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

#[derive(Serialize)]
struct CurrencyView {
    currency: String,
    rows: Vec<RowView>,
    /// What was paid and stands paid, where that is more than one row.
    total: Option<RowView>,
    /// Money in dispute, and money that went back.
    after: Vec<RowView>,
    /// Payments that came to nothing, in one line.
    unpaid: Option<String>,
}

#[derive(Serialize)]
struct RowView {
    label: String,
    count: String,
    sum: String,
    before: String,
}

/// What a row says of the week before the days reported.
#[derive(Clone, Copy)]
enum Mean {
    /// Nothing: part of that week nobody was there to hear of payments.
    Unknown,
    /// What came on one of its days, beside what came on the day reported.
    OfADay,
    /// The same, beside what came on several days together.
    OfADayOfMany,
}

#[derive(Serialize)]
struct ChartView {
    currency: String,
    days: Vec<BarView>,
}

#[derive(Serialize)]
struct BarView {
    day: String,
    sum: String,
    /// The length of the bar, of a hundred.
    percent: u64,
    /// The same line in characters.
    line: String,
    reported: bool,
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

/// Text from outside as a letter may show it. Blanks that vanish may join what was no telephone number before.
fn fit(text: &str, limit: usize) -> String {
    shortened(&without_phones(&shown(text)), limit)
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

/// The totals, a table for each currency.
fn currencies(totals: &[Total], mean: Mean) -> Vec<CurrencyView> {
    let mut tables: BTreeMap<Currency, Vec<&Total>> = BTreeMap::new();
    for total in totals {
        tables.entry(total.currency).or_default().push(total);
    }
    let tables = tables.into_iter().map(|(currency, totals)| table(currency, &totals, mean));
    tables.filter(|table| !table.rows.is_empty() || !table.after.is_empty() || table.unpaid.is_some()).collect()
}

fn table(currency: Currency, totals: &[&Total], mean: Mean) -> CurrencyView {
    let sums = |total: &Total| [total.period, total.day_before, total.week_before];
    let tell_means = totals.iter().any(|total| total.method.is_some());
    let view = |total: &&Total| {
        let means = total.method.as_ref().map(|method| fit(method.as_str(), NAME));
        let means = means.or_else(|| tell_means.then(|| "means unknown".to_owned()));
        let label = [total.status.label().to_owned()].into_iter().chain(means).collect::<Vec<_>>().join(", ");
        row(label, sums(total), mean)
    };
    let (mut paid, rest): (Vec<&Total>, Vec<&Total>) = totals.iter().partition(|total| total.status.is_paid());
    // What is the merchant's first, then what is still held; known means before unknown ones.
    paid.sort_by_key(|total| (total.status != Status::Paid, total.status, total.method.is_none()));
    let all = paid.iter().fold([Sum::default(); 3], |all, total| {
        let [period, before, week] = sums(total);
        [all[0].and(period), all[1].and(before), all[2].and(week)]
    });
    // There is nothing to compare these with from one day to the next.
    let rest = rest.into_iter().filter(|total| total.period.count > 0);
    let (after, rest): (Vec<&Total>, Vec<&Total>) = rest.partition(|total| total.status.has_had_money());
    let mut unpaid: BTreeMap<Status, u64> = BTreeMap::new();
    for total in rest {
        *unpaid.entry(total.status).or_default() += total.period.count;
    }
    let unpaid: Vec<String> =
        unpaid.into_iter().map(|(status, count)| format!("{} {}", wording::count(count), status.label())).collect();
    CurrencyView {
        currency: currency.label().to_owned(),
        rows: paid.iter().map(view).collect(),
        total: (paid.len() > 1).then(|| row("All paid".to_owned(), all, mean)),
        after: after.iter().map(view).collect(),
        unpaid: (!unpaid.is_empty()).then(|| format!("Begun and not paid: {}.", unpaid.join(", "))),
    }
}

fn row(label: String, [period, before, week]: [Sum; 3], mean: Mean) -> RowView {
    let unknown = if period.unknown > 0 && !period.is_unknown() {
        format!("{} of unknown amount; ", wording::count(period.unknown))
    } else {
        String::new()
    };
    let mean = match mean {
        Mean::Unknown => String::new(),
        Mean::OfADay => format!("; 7-day mean {}", wording::mean(&week)),
        Mean::OfADayOfMany => format!("; 7-day mean {} a day", wording::mean(&week)),
    };
    RowView {
        label,
        count: wording::count(period.count),
        sum: wording::figure(&period),
        before: format!("{unknown}day before {} · {}{mean}", wording::count(before.count), wording::amount(&before)),
    }
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

/// A chart for each currency that something was paid in; a day without money has a line without a bar.
fn charts(report: &Report) -> Vec<ChartView> {
    let mut sums: BTreeMap<Currency, BTreeMap<NaiveDate, Sum>> = BTreeMap::new();
    for day in &report.totals.chart {
        sums.entry(day.currency).or_default().insert(day.day, day.sum);
    }
    let window = Days::up_to(report.days.last(), CHART, report.days.zone());
    let chart = |(currency, sums): (Currency, BTreeMap<NaiveDate, Sum>)| {
        let largest = sums.values().map(|sum| sum.ten_thousandths).max().unwrap_or(0);
        let scaled = |sum: &Sum, full: u64| share(sum.ten_thousandths, largest, full);
        let days = window.each().map(|day| {
            let sum = sums.get(&day).copied().unwrap_or_default();
            let name = wording::chart_day(day);
            let money = if sum.count == 0 { "–".to_owned() } else { wording::amount(&sum) };
            let bar = "#".repeat(usize::try_from(scaled(&sum, BAR)).unwrap_or(0));
            let line = format!("{name:<10} {money:>15}  {bar}").trim_end().to_owned();
            BarView { day: name, sum: money, percent: scaled(&sum, 100), line, reported: day >= report.days.first() }
        });
        ChartView { currency: currency.label().to_owned(), days: days.collect() }
    };
    sums.into_iter().map(chart).collect()
}

/// `part` of `whole` as a share of `full`, at least one where there is anything.
fn share(part: i128, whole: i128, full: u64) -> u64 {
    if part <= 0 || whole <= 0 {
        return 0;
    }
    u64::try_from((part * i128::from(full) + whole / 2) / whole).unwrap_or(full).clamp(1, full)
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
