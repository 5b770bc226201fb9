//! What holds whatever is posted and polled, in whatever order.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The words of Paynow Zimbabwe, and one that nobody documented.
const WORDS: [Status; 10] = [
    Status::Unknown,
    Status::Created,
    Status::Pending,
    Status::AwaitingDelivery,
    Status::Delivered,
    Status::Paid,
    Status::Cancelled,
    Status::Failed,
    Status::Disputed,
    Status::Refunded,
];

/// The legal paths of a payment, each ending in its true final state.
const PATHS: [&[Status]; 9] = [
    &[Status::Created, Status::Pending, Status::Paid],
    &[Status::Created, Status::Pending, Status::AwaitingDelivery, Status::Delivered, Status::Paid],
    &[Status::Created, Status::Pending, Status::Cancelled],
    &[Status::Created, Status::Pending, Status::Failed],
    &[Status::Created, Status::Pending, Status::Paid, Status::Disputed],
    &[Status::Created, Status::Pending, Status::Paid, Status::Disputed, Status::Paid],
    &[Status::Created, Status::AwaitingDelivery, Status::Disputed, Status::Delivered],
    &[Status::Created, Status::Pending, Status::Paid, Status::Disputed, Status::Refunded],
    &[Status::Created, Status::Pending, Status::AwaitingDelivery, Status::Refunded],
];

/// One thing heard: by which channel, which word, with the true amount or another.
fn heard() -> impl Strategy<Value = (Channel, Status, bool)> {
    (select(vec![Channel::Post, Channel::Post, Channel::Poll]), select(&WORDS[..]), prop::bool::weighted(0.8))
}

fn observation(life: &Life, (channel, status, true_amount): (Channel, Status, bool)) -> Observation {
    Observation { facts: facts(if true_amount { "25.00" } else { "41.00" }), ..seen(channel, status, life.now) }
}

/// Everything of a payment but its dates.
fn state(life: &Life) -> (Status, Trust, Facts, Option<WireStatus>) {
    let payment = life.payment().clone();
    (payment.status, payment.trust, payment.facts, payment.wire_status)
}

proptest! {
    /// Once the gateway has confirmed money, nothing undoes that: a later word, by post or poll, alone or together,
    /// moves the payment only among paid states, Disputed and Refunded; and without a claim or an answer beyond it,
    /// it stays exactly where it is.
    #[test]
    fn money_the_gateway_confirmed_stays_money(everything in prop::collection::vec(heard(), 1..40)) {
        let (mut life, mut confirmed) = (Life::new(), false);
        for one in everything {
            let next = observation(&life, one);
            life.hear(&next);
            let (status, trust) = life.stands();
            confirmed |= trust == Trust::Confirmed && status.is_paid();
            prop_assert!(!confirmed || status.is_paid() || matches!(status, Status::Disputed | Status::Refunded), "{status}");
        }
    }

    /// Lower words alone never even change which money it is, nor since when.
    #[test]
    fn confirmed_paid_is_not_moved_by_anything_below_it(everything in prop::collection::vec(heard(), 1..40)) {
        let mut life = Life::confirmed(Status::Paid);
        let payment = life.payment().clone();
        for (channel, status, true_amount) in everything {
            if !matches!(status, Status::Disputed | Status::Refunded) && (true_amount || channel == Channel::Post) {
                let next = observation(&life, (channel, status, true_amount));
                life.hear(&next);
                prop_assert_eq!(life.payment(), &Payment { posted: life.payment().posted, ..payment.clone() });
            }
        }
    }

    #[test]
    fn posts_alone_confirm_nothing_and_announce_nothing_as_reached(
        words in prop::collection::vec(select(&WORDS[..]), 1..30),
        announce in select(vec![Announce::Confirmed, Announce::Reported]),
    ) {
        let mut life = Life::under(Terms { announce, notify_on: WORDS.to_vec(), ..terms() });
        for word in words {
            let decision = life.post(word);
            prop_assert_eq!(life.stands().1, Trust::Reported);
            prop_assert!(!kinds(&decision).iter().any(|kind| matches!(kind, NoticeKind::Reached(_))));
        }
    }

    #[test]
    fn a_prefix_heard_again_at_the_end_of_a_settled_path_changes_nothing(
        path in select(&PATHS[..]), again in 0..6_usize, each_twice in any::<bool>(),
    ) {
        let (mut once, mut more) = (Life::new(), Life::new());
        for word in path {
            once.post(*word);
            for _ in 0..=usize::from(each_twice) {
                more.post(*word);
            }
        }
        let last = *path.last().unwrap();
        once.poll(last);
        more.poll(last);
        prop_assert_eq!(state(&once), state(&more));
        for word in path.iter().take(again) {
            more.post(*word);
        }
        more.poll(last);
        prop_assert_eq!(state(&once), state(&more));
    }

    #[test]
    fn the_same_message_twice_in_a_row_is_the_message_once(everything in prop::collection::vec(heard(), 1..20)) {
        let (mut once, mut twice) = (Life::new(), Life::new());
        for one in everything {
            let next = observation(&once, one);
            once.hear(&next);
            twice.hear(&next);
            let repeated = twice.hear(&next);
            prop_assert_eq!(state(&once), state(&twice));
            prop_assert!(repeated.notices.is_empty() && repeated.withdrawn.is_empty(), "nobody is told twice");
        }
    }

    #[test]
    fn whatever_order_the_posts_of_a_path_arrive_in_one_poll_ends_in_the_same_state(
        (path, order) in select(&PATHS[..]).prop_flat_map(|path| (Just(path), Just(path.to_vec()).prop_shuffle())),
    ) {
        let (mut straight, mut shuffled) = (Life::new(), Life::new());
        for (word, shuffled_word) in path.iter().zip(order) {
            straight.post(*word);
            shuffled.post(shuffled_word);
        }
        let last = *path.last().unwrap();
        straight.poll(last);
        shuffled.poll(last);
        prop_assert_eq!(shuffled.stands(), (last, Trust::Confirmed));
        prop_assert_eq!(state(&straight), state(&shuffled));
    }

    /// Nothing panics, for any clock; a claim is never left without a date or a finding, which is said once and stays
    /// open until it is settled; what is not an event changes nothing.
    #[test]
    fn any_sequence_is_decided_and_no_claim_is_forgotten(
        everything in prop::collection::vec((heard(), -400_000_000_i64..400_000_000), 1..30),
        confirmable in any::<bool>(),
    ) {
        let mut life = Life::under(Terms { confirmable, ..terms() });
        let mut said = false;
        for (one, clock) in everything {
            life.now = start() + chrono::TimeDelta::seconds(clock);
            let before = life.known.clone();
            let next = observation(&life, one);
            let decision = life.hear(&next);
            let after = life.payment();
            said &= !decision.settled.contains(&Class::PaidUnconfirmed);
            said |= classes(&decision).contains(&Class::PaidUnconfirmed);
            if let Some(before) = &before {
                prop_assert!(decision.outcome.is_event() || &before.payment == after);
                prop_assert!(&before.payment != after || before.unconfirmed_at == decision.unconfirmed_at);
            }
            prop_assert!(decision.unconfirmed_at.is_none() || after.is_unproven());
            if confirmable && after.is_unproven() && decision.plan.due.is_none() {
                prop_assert!(said, "{:?}", decision);
            }
        }
    }
}
