//! The figures of a report's letter: a table for each currency, and its chart of days.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::report_wording::{self as wording, NAME, fit};
use crate::domain::report::Report;
use crate::domain::tally::{CHART, Total};
use crate::domain::{Currency, Days, Status, Sum};

/// How many characters the longest bar of the chart has in the text part.
const BAR: u64 = 24;

#[derive(Serialize)]
pub(super) struct CurrencyView {
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
pub(super) enum Mean {
    /// Nothing: part of that week nobody was there to hear of payments.
    Unknown,
    /// What came on one of its days, beside what came on the day reported.
    OfADay,
    /// The same, beside what came on several days together.
    OfADayOfMany,
}

#[derive(Serialize)]
pub(super) struct ChartView {
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

/// The totals, a table for each currency.
pub(super) fn currencies(totals: &[Total], mean: Mean) -> Vec<CurrencyView> {
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

/// A chart for each currency that something was paid in; a day without money has a line without a bar.
pub(super) fn charts(report: &Report) -> Vec<ChartView> {
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
