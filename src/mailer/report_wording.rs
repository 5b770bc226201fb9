//! The words of a nightly report: sums, days, ages, and what each kind of finding is called in a shop. No layout here.

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::shown;
use super::shown::shortened;
use crate::domain::report::Held;
use crate::domain::{Checked, Class, Currency, Days, Refusal, Severity, Status, Sum, without_phones};

/// How long the name of an order may be, in characters.
pub(super) const NAME: usize = 60;
/// How long a subject may be, in characters: about what a phone shows of it in two lines.
const SUBJECT_LENGTH: usize = 100;

/// Text from outside as a letter may show it. Blanks that vanish may join what was no telephone number before.
pub(super) fn fit(text: &str, limit: usize) -> String {
    shortened(&without_phones(&shown(text)), limit)
}

/// The subject: which days, how much was paid, how many findings need a person. Currencies give way if it grows too
/// long. Its end is worded alike for any number: mail is sorted by it.
pub(super) fn subject(days: &Days, paid: &[(Currency, Sum)], need_you: u64) -> String {
    let count: u64 = paid.iter().map(|(_, sum)| sum.count).sum();
    let with = |shown: usize| {
        let sums = paid.iter().take(shown).map(|(currency, sum)| money(*currency, sum));
        let more = (shown < paid.len()).then(|| "…".to_owned());
        let paid: Vec<String> = std::iter::once(format!("{count} paid")).chain(sums).chain(more).collect();
        format!("Paynow {}: {} — {need_you} need you", short(days), paid.join(", "))
    };
    (0..=paid.len())
        .rev()
        .map(with)
        .find(|subject| subject.chars().count() <= SUBJECT_LENGTH)
        .unwrap_or_else(|| with(0))
}

/// The days as short as can be: `12 Mar`, `10–12 Mar`, `27 Feb–2 Mar`.
pub(super) fn short(days: &Days) -> String {
    let (first, last) = (days.first(), days.last());
    let end = last.format("%-d %b");
    if first == last {
        end.to_string()
    } else if (first.year(), first.month()) == (last.year(), last.month()) {
        format!("{}–{end}", first.day())
    } else {
        format!("{}–{end}", first.format("%-d %b"))
    }
}

/// The days in full: `Thursday 12 March 2026`, `10 to 12 March 2026, 3 days`.
pub(super) fn long(days: &Days) -> String {
    let (first, last) = (days.first(), days.last());
    if first == last {
        return last.format("%A %-d %B %Y").to_string();
    }
    let start = match (first.year() == last.year(), first.month() == last.month()) {
        (true, true) => first.format("%-d"),
        (true, false) => first.format("%-d %B"),
        (false, _) => first.format("%-d %B %Y"),
    };
    format!("{start} to {}, {} days", last.format("%-d %B %Y"), days.count())
}

/// A day of the chart.
pub(super) fn chart_day(day: NaiveDate) -> String {
    day.format("%a %-d %b").to_string()
}

/// `USD 1,204.50`, and of how many payments the amount is missing from it.
pub(super) fn money(currency: Currency, sum: &Sum) -> String {
    format!("{} {}", currency.label(), amount(sum))
}

/// `1,204.50`, and of how many payments the amount is missing from it.
pub(super) fn amount(sum: &Sum) -> String {
    match sum.unknown {
        some if some > 0 && !sum.is_unknown() => format!("{} ({} of unknown amount)", figure(sum), count(some)),
        _ => figure(sum),
    }
}

/// `1,204.50`: what is known of a sum. Where nothing is, it is not zero.
pub(super) fn figure(sum: &Sum) -> String {
    if sum.is_unknown() { "amount unknown".to_owned() } else { digits(sum.ten_thousandths) }
}

/// What the payments of a week come to on one of its days.
pub(super) fn mean(week: &Sum) -> String {
    if week.is_unknown() { "unknown".to_owned() } else { digits(week.mean_of_a_week()) }
}

/// An amount in ten-thousandths as people write it: thousands apart, two decimals, or more where they are not zero.
pub(super) fn digits(ten_thousandths: i128) -> String {
    let whole = (ten_thousandths / 10_000).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let decimals = format!("{:04}", ten_thousandths % 10_000);
    let shown = decimals.trim_end_matches('0').len().max(2);
    format!("{grouped}.{}", decimals.get(..shown).unwrap_or(&decimals))
}

/// A count with its thousands apart.
pub(super) fn count(count: u64) -> String {
    let text = digits(i128::from(count) * 10_000);
    text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
}

/// `1 payment`, `2 payments`.
pub(super) fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

/// How long something has been so: hours on the first two days, then days.
pub(super) fn age(age: TimeDelta) -> String {
    match age.num_hours().max(0).unsigned_abs() {
        0 => "less than an hour".to_owned(),
        hours @ 1..48 => several(hours, "hour", "hours"),
        hours => several(hours / 24, "day", "days"),
    }
}

/// How large a file is.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{} kB", count(bytes.div_ceil(1_000))),
        _ => format!("{} MB", count(bytes.div_ceil(1_000_000))),
    }
}

/// How urgent a finding is.
pub(super) const fn urgency(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Good to know",
        Severity::Warning => "Look today",
        Severity::Critical => "Look now",
    }
}

/// What a post is called that is signed, and not as the gateway writes.
pub(super) const SUSPECT_POST: &str = "A message that is not as Paynow writes";

/// What a kind of finding is called in a shop.
pub(super) const fn title(class: Class) -> &'static str {
    match class {
        Class::MissingInLedger => "Found only by asking Paynow",
        Class::MissingAtGateway => "Paynow does not know this payment",
        Class::UnknownReference => "Paid, but you expect no such order",
        Class::Underpaid => "Paid too little",
        Class::Overpaid => "Paid too much",
        Class::CurrencyMismatch => "Paid in the wrong currency",
        Class::StatusMismatch => "Paynow says something we cannot follow",
        Class::StuckPending => "Not paid in time",
        Class::PaidLate => "Paid after it was given up",
        Class::DuplicatePayment => "Paid twice",
        Class::Reversed => "Disputed or refunded",
        Class::EscrowAgeing => "Your money is held for too long",
        Class::PaidUnconfirmed => "Said to be paid, not confirmed",
        Class::ContradictingPost => "A message and Paynow disagree",
        Class::RefusedPosts => "Messages that prove nothing",
        Class::RefusedPolls => "Paynow refuses our questions",
        Class::CallbackSilence => "Paynow's messages do not reach us",
        Class::TestMoney => "Test money and real money mixed up",
        Class::SettlementMissing => "Payment and payout do not match",
        Class::SettlementShort => "Paid out to you with less",
    }
}

/// What was asked, what was answered, and what could not be asked, a sentence each.
pub(super) fn checked(checked: &Checked, unaskable: u64) -> Vec<String> {
    let mut said = Vec::new();
    if checked.payments == 0 {
        said.push("There was no payment to ask Paynow about.".to_owned());
    } else if checked.answered == checked.payments {
        said.push(match checked.payments {
            1 => "We asked Paynow about 1 payment, and it answered.".to_owned(),
            some => format!("We asked Paynow about {} payments, and it answered for all of them.", count(some)),
        });
    } else {
        let payments = several(checked.payments, "payment", "payments");
        said.push(format!("We asked Paynow about {payments}. It answered for {}.", count(checked.answered)));
    }
    let unanswered: u64 = checked.unanswered.values().sum();
    if unanswered > 0 {
        let causes: Vec<String> = checked.unanswered.iter().map(|(code, times)| format!("{code} {times}")).collect();
        let payments = several(unanswered, "payment", "payments");
        said.push(format!("Not checked: {payments} without a proven answer ({}).", causes.join(", ")));
    }
    if checked.left > 0 {
        let payments = several(checked.left, "payment or order", "payments and orders");
        said.push(format!("Not checked: {payments}, for which there was no time left. The next run asks about them."));
    }
    if unaskable > 0 {
        let payments = several(unaskable, "button payment", "button payments");
        said.push(format!(
            "Not checked: {payments}. Paynow tells us of those once and offers no way to ask; they count as paid."
        ));
    }
    if checked.traced > 0 {
        let orders = several(checked.traced, "expected order", "expected orders");
        said.push(format!("We looked for {orders} without a payment; Paynow knew {}.", count(checked.found)));
    }
    said
}

/// Money that is held or disputed, in a sentence.
pub(super) fn held(held: &Held, made: crate::domain::Timestamp) -> String {
    let payments = several(held.sum.count, "payment", "payments");
    let sum = money(held.currency, &held.sum);
    let oldest = age(made - held.oldest);
    match held.status {
        Status::Disputed => format!("In dispute: {sum} in {payments}, the oldest paid {oldest} ago."),
        Status::Delivered => {
            format!("Held by Paynow for another day or so: {sum} in {payments}, the oldest paid {oldest} ago.")
        }
        _ => format!(
            "Held by Paynow until the delivery is confirmed: {sum} in {payments}, the oldest paid {oldest} ago."
        ),
    }
}

/// Why posts were refused.
pub(super) const fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Forged => "wrong signature",
        Refusal::Malformed => "not readable",
        Refusal::Suspect => "signed, but not as Paynow writes",
        Refusal::Contradicts => "contradicting what is known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(first: &str, last: &str) -> Days {
        Days::new(first.parse().unwrap(), last.parse().unwrap(), chrono_tz::Africa::Harare).unwrap()
    }

    fn sum(count: u64, ten_thousandths: i128) -> Sum {
        Sum { count, ten_thousandths, unknown: 0 }
    }

    #[test]
    fn subjects_say_the_day_the_money_and_whether_somebody_is_needed() {
        let (usd, zig) = ("USD".parse().unwrap(), "ZWG".parse().unwrap());
        let paid = [(usd, sum(38, 12_045_000)), (zig, sum(3, 93_100_000))];
        let day = days("2026-03-12", "2026-03-12");
        assert_eq!(subject(&day, &paid, 2), "Paynow 12 Mar: 41 paid, USD 1,204.50, ZiG 9,310.00 — 2 need you");
        assert_eq!(subject(&day, &paid, 1), "Paynow 12 Mar: 41 paid, USD 1,204.50, ZiG 9,310.00 — 1 need you");
        assert_eq!(subject(&day, &[], 0), "Paynow 12 Mar: 0 paid — 0 need you");
        assert_eq!(subject(&days("2026-03-10", "2026-03-12"), &[], 0), "Paynow 10–12 Mar: 0 paid — 0 need you");
        assert_eq!(subject(&days("2026-02-27", "2026-03-02"), &[], 0), "Paynow 27 Feb–2 Mar: 0 paid — 0 need you");
        let many = [(usd, sum(1, i128::from(i64::MAX))); 6];
        let long = subject(&day, &many, 2);
        assert!(long.chars().count() <= 100 && long.ends_with(", … — 2 need you"), "{long}");
    }

    #[test]
    fn amounts_are_written_in_full_with_their_thousands_apart() {
        for (ten_thousandths, written) in [
            (0, "0.00"),
            (100, "0.01"),
            (1, "0.0001"),
            (9_999_900, "999.99"),
            (10_000_000, "1,000.00"),
            (1_234_567_890_100, "123,456,789.01"),
        ] {
            assert_eq!(digits(ten_thousandths), written);
        }
        assert_eq!((count(0), count(1_234_567)), ("0".to_owned(), "1,234,567".to_owned()));
    }

    #[test]
    fn a_sum_of_which_nothing_is_known_is_never_zero_and_one_of_which_some_is_says_of_how_many_it_is_not() {
        let pln = "PLN".parse().unwrap();
        let of = |unknown| Sum { unknown, ..sum(3, 120_000) };
        assert_eq!(money(pln, &of(0)), "PLN 12.00");
        assert_eq!(money(pln, &of(1)), "PLN 12.00 (1 of unknown amount)");
        assert_eq!((money(pln, &of(3)), mean(&of(3))), ("PLN amount unknown".into(), "unknown".into()));
        assert_eq!((money(pln, &sum(0, 0)), mean(&sum(0, 0))), ("PLN 0.00".into(), "0.00".into()));
    }

    #[test]
    fn ages_and_days_read_as_people_say_them() {
        assert_eq!(age(TimeDelta::minutes(-5)), "less than an hour");
        assert_eq!((age(TimeDelta::hours(1)), age(TimeDelta::hours(47))), ("1 hour".into(), "47 hours".into()));
        assert_eq!((age(TimeDelta::hours(48)), age(TimeDelta::days(400))), ("2 days".into(), "400 days".into()));
        assert_eq!(long(&days("2026-03-12", "2026-03-12")), "Thursday 12 March 2026");
        assert_eq!(long(&days("2026-03-10", "2026-03-12")), "10 to 12 March 2026, 3 days");
        assert_eq!(long(&days("2026-02-27", "2026-03-02")), "27 February to 2 March 2026, 4 days");
        assert_eq!(long(&days("2025-12-31", "2026-01-01")), "31 December 2025 to 1 January 2026, 2 days");
    }
}
