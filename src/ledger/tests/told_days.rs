//! Money that is confirmed or goes back after the letter of its day: told by the next nightly letter, and once.

use super::reports::{order, run, today};
use super::*;
use crate::domain::{Currency, Days, Mode, Report, Sum};
use crate::ledger::report_shape;

/// What the letters of these days, written in this order, tell as paid on their days and as confirmed since.
type Letters = Vec<(u64, u64)>;

impl House {
    /// Writes the nightly letter of the day that comes so many days after that of `at(0)`, half a day after it ended.
    async fn night(&self, day: i64) -> (u64, u64) {
        let now = noon(day + 1);
        self.conclude(civil(day, day), now).await;
        let (_, reported) = self.reported(now).await.pop().unwrap();
        told(&reported.report)
    }
}

/// The middle of the day that comes so many days after that of `at(0)`.
fn noon(day: i64) -> Timestamp {
    (today().and_time(chrono::NaiveTime::MIN) + chrono::TimeDelta::hours(24 * day + 12)).and_utc()
}

/// On that day, after the letter of the day before it.
fn later(day: i64) -> Timestamp {
    noon(day) + chrono::TimeDelta::hours(1)
}

fn civil(first: i64, last: i64) -> Days {
    Days::new(noon(first).date_naive(), noon(last).date_naive(), chrono_tz::UTC).unwrap()
}

fn told(report: &Report) -> (u64, u64) {
    let count = |sums: Vec<(Currency, Sum)>| sums.iter().map(|(_, sum)| sum.count).sum();
    (count(report.totals.paid()), count(report.confirmed_since.clone()))
}

#[tokio::test]
async fn money_confirmed_after_its_letter_is_told_by_the_next_one_and_once() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.post(2, "Paid", noon(0)).await;
    house.poll(2, "Paid", noon(0)).await;
    let mut letters: Letters = vec![house.night(0).await];
    // Nothing but the claim was known; then the gateway answers.
    house.poll(1, "Paid", later(1)).await;
    let counted = house.ledger.reader().count_report(order(civil(1, 1)), noon(2)).await.unwrap();
    assert_eq!(counted.report.confirmed_since[0].1, Sum { count: 1, ten_thousandths: 250_000, unknown: 0 });
    let file = String::from_utf8(counted.transactions).unwrap();
    assert!(file.contains("INV-1") && !file.contains("INV-2"), "{file}");
    letters.extend([house.night(1).await, house.night(2).await, house.night(3).await]);
    assert_eq!(letters, [(1, 0), (0, 1), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn money_confirmed_between_the_end_of_its_day_and_the_letter_is_in_the_total_of_its_day_alone() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.poll(1, "Paid", noon(1) - chrono::TimeDelta::hours(11)).await;
    assert_eq!([house.night(0).await, house.night(1).await], [(1, 0), (0, 0)]);
}

#[tokio::test]
async fn money_that_moves_on_or_was_in_dispute_for_a_night_is_not_told_again() {
    let house = House::new();
    for payment in 1..=3 {
        house.post(payment, "Awaiting Delivery", noon(0)).await;
        house.poll(payment, "Awaiting Delivery", noon(0)).await;
    }
    let mut letters: Letters = vec![house.night(0).await];
    house.poll(1, "Delivered", later(1)).await;
    // A claim, which is in no total; the gateway knows better.
    house.post(2, "Disputed", later(1)).await;
    house.poll(3, "Refunded", later(1)).await;
    letters.push(house.night(1).await);
    house.poll(1, "Paid", later(2)).await;
    house.poll(2, "Paid", later(2)).await;
    letters.extend([house.night(2).await, house.night(3).await]);
    assert_eq!(letters, [(3, 0), (0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn money_that_was_told_late_and_moves_on_is_not_told_again() {
    let house = House::new();
    house.post(1, "Awaiting Delivery", noon(0)).await;
    let mut letters: Letters = vec![house.night(0).await];
    for (day, status) in [(1, "Awaiting Delivery"), (2, "Delivered"), (3, "Paid")] {
        house.poll(1, status, later(day)).await;
        letters.push(house.night(day).await);
    }
    assert_eq!(letters, [(0, 0), (0, 1), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_letter_about_days_to_come_by_a_clock_that_was_wrong_silences_no_later_one() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.night(0).await;
    house.night(300).await;
    house.poll(1, "Paid", later(1)).await;
    assert_eq!(house.night(1).await, (0, 1));
}

#[tokio::test]
async fn money_that_comes_late_and_has_gone_back_is_not_told_as_paid() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.post(2, "Paid", noon(0)).await;
    let first = house.night(0).await;
    house.poll(1, "Refunded", later(1)).await;
    house.poll(2, "Cancelled", later(1)).await;
    assert_eq!([first, house.night(1).await], [(0, 0), (0, 0)]);
}

#[tokio::test]
async fn days_that_are_made_up_together_tell_what_came_late_once() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    let mut letters: Letters = vec![house.night(0).await];
    // Dark for three weeks, longer than a letter looks back; of these days one payment, confirmed on another of them.
    house.poll(1, "Paid", later(1)).await;
    house.post(2, "Paid", later(1)).await;
    house.poll(2, "Paid", noon(3)).await;
    house.conclude(civil(1, 21), noon(22)).await;
    letters.push(told(&house.reported(noon(22)).await.pop().unwrap().1.report));
    letters.push(house.night(22).await);
    assert_eq!(letters, [(0, 0), (1, 1), (0, 0)]);
}

#[tokio::test]
async fn a_letter_out_of_turn_takes_nothing_from_the_next_in_turn_and_tells_no_old_news() {
    let house = House::new();
    house.post(1, "Paid", noon(1)).await;
    house.night(1).await;
    house.post(2, "Paid", noon(2)).await;
    house.poll(1, "Paid", later(2)).await;
    house.poll(2, "Paid", noon(3)).await;
    let count = async |first, last| {
        told(&house.ledger.reader().count_report(order(civil(first, last)), noon(3)).await.unwrap().report)
    };
    // The day after the one whose letter is not written yet: its payment will be in the total there.
    assert_eq!(count(3, 3).await, (0, 1));
    let counted = house.ledger.reader().count_report(order(civil(3, 3)), noon(3)).await.unwrap();
    let run = Run { name: "out-of-turn", ..run(noon(3)) };
    let out_of_turn = Conclusion { run, changes: Changes::default(), report: Some(counted) };
    assert!(matches!(house.ledger.conclude(out_of_turn, noon(3)).await.unwrap(), Concluded::Reported { .. }));
    // Days before any letter, and the day of the letter itself.
    assert_eq!((count(0, 0).await, count(1, 1).await), ((0, 0), (1, 0)));
    let letters: Letters = vec![house.night(2).await, house.night(3).await];
    assert_eq!(letters, [(1, 1), (0, 0)]);
    assert_eq!(count(2, 2).await, (1, 0), "later days have been told");
}

#[tokio::test]
async fn test_money_is_in_the_total_of_its_day_and_is_not_told_again() {
    let house = House::with(Terms { mode: Mode::Test, ..terms() }, |_| {});
    house.post(1, "Paid", noon(0)).await;
    house.night(0).await;
    house.poll(1, "Paid", later(1)).await;
    house.night(1).await;
    let letters = house.reported(noon(2)).await;
    let test = |at: usize| letters[at].1.report.totals.test.iter().map(|total| total.period.count).sum::<u64>();
    assert_eq!((test(0), test(3)), (1, 0));
    assert!(letters.iter().all(|(_, reported)| told(&reported.report) == (0, 0)));
}

#[tokio::test]
async fn a_report_without_what_was_confirmed_since_is_read_as_having_none() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.night(0).await;
    house.poll(1, "Paid", later(1)).await;
    house.night(1).await;
    let stored: String = house.ask("SELECT report FROM run ORDER BY id DESC LIMIT 1").unwrap();
    let before: String = house
        .ask("SELECT json_remove(report, '$.confirmed_since', '$.reversed_since') FROM run ORDER BY id DESC LIMIT 1")
        .unwrap();
    assert_ne!(stored, before);
    let [stored, before] = [stored, before].map(|text| report_shape::read(&text).unwrap());
    assert_eq!((told(&stored), told(&before)), ((0, 1), (0, 0)));
    assert_eq!(before.totals, stored.totals);
}

#[tokio::test]
async fn money_that_goes_back_after_its_letter_is_told_by_the_next_one_and_once() {
    let house = House::new();
    for payment in 1..=3 {
        house.post(payment, "Paid", noon(0)).await;
        house.poll(payment, "Paid", noon(0)).await;
    }
    house.night(0).await;
    house.poll(1, "Refunded", later(1)).await;
    house.poll(2, "Disputed", later(1)).await;
    // A claim changes nothing.
    house.post(3, "Refunded", later(1)).await;
    let counted = house.ledger.reader().count_report(order(civil(1, 1)), noon(2)).await.unwrap();
    let (usd, sum) = ("USD".parse().unwrap(), Sum { count: 1, ten_thousandths: 250_000, unknown: 0 });
    let both = [(Status::Disputed, usd, sum), (Status::Refunded, usd, sum)];
    assert_eq!(counted.report.reversed_since, both);
    let file = String::from_utf8(counted.transactions).unwrap();
    assert!(file.contains("INV-1") && file.contains("INV-2") && !file.contains("INV-3"), "{file}");
    house.night(1).await;
    house.poll(3, "Refunded", later(2)).await;
    house.night(2).await;
    house.night(3).await;
    let letters: Vec<_> = house.reported(noon(9)).await.into_iter().step_by(2).collect();
    let told: Vec<_> = letters.iter().map(|(_, reported)| reported.report.reversed_since.as_slice()).collect();
    assert_eq!(told, [&[][..], &both, &[(Status::Refunded, usd, sum)], &[]]);
}

#[tokio::test]
async fn money_that_comes_back_after_a_dispute_was_told_is_told_again_so_that_all_letters_add_up() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.poll(1, "Paid", noon(0)).await;
    let mut letters: Letters = vec![house.night(0).await];
    for (day, status) in [(1, "Disputed"), (2, "Paid"), (3, "Paid"), (4, "Refunded")] {
        house.poll(1, status, later(day)).await;
        letters.push(house.night(day).await);
    }
    assert_eq!(letters, [(1, 0), (0, 0), (0, 1), (0, 0), (0, 0)]);
    let letters: Vec<_> = house.reported(noon(9)).await.into_iter().step_by(2).collect();
    let reversed =
        |reported: &Reported| reported.report.reversed_since.iter().map(|(_, _, sum)| sum.count).sum::<u64>();
    let reversed: Vec<_> = letters.iter().map(|(_, reported)| reversed(reported)).collect();
    assert_eq!(reversed, [0, 1, 0, 0, 1]);
}

#[tokio::test]
async fn money_that_goes_back_before_any_letter_has_it_as_paid_is_not_told_as_gone() {
    let house = House::new();
    house.post(1, "Paid", noon(0)).await;
    house.post(2, "Paid", noon(0)).await;
    house.poll(2, "Paid", noon(0)).await;
    house.poll(2, "Refunded", noon(1) - chrono::TimeDelta::hours(11)).await;
    house.night(0).await;
    house.poll(1, "Refunded", later(1)).await;
    house.night(1).await;
    assert!(house.reported(noon(9)).await.iter().all(|(_, reported)| reported.report.reversed_since.is_empty()));
}
