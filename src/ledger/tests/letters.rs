//! The outbox: who is told what, once.

use super::*;

pub(super) const OWNER: &str = "owner@shop.example";
pub(super) const BOOKS: &str = "books@shop.example";

pub(super) fn both() -> Terms {
    Terms { recipients: vec![OWNER.into(), BOOKS.into()], ..terms() }
}

pub(super) fn reporting() -> Terms {
    Terms { announce: Announce::Reported, ..both() }
}

impl House {
    pub(super) async fn due(&self, when: Timestamp) -> Vec<Letter> {
        self.ledger.due_letters(when, 99).await.unwrap().0
    }

    pub(super) async fn take_up(&self, letter: &Letter) -> bool {
        self.ledger.next_letter(Vec::new(), Some(letter.clone()), at(0)).await.unwrap().is_some()
    }

    pub(super) async fn begin(&self, letter: &Letter) -> bool {
        self.take_up(letter).await && self.ledger.hand_out(letter.id)
    }

    /// Tries a letter as the postman does: first asks whether it may still go.
    pub(super) async fn carry(&self, letter: &Letter, attempt: Attempt, when: Timestamp) {
        assert!(self.begin(letter).await);
        self.settle(letter, attempt, when).await;
    }

    pub(super) async fn settle(&self, letter: &Letter, attempt: Attempt, when: Timestamp) {
        self.ledger.next_letter(vec![(letter.id, attempt)], None, when).await.unwrap();
    }

    /// The same ledger, opened by a process that remembers nothing.
    pub(super) fn begun_anew(self) -> Self {
        let settings = settings(self.path());
        let Self { home, ledger, gateway, terms } = self;
        ledger.close();
        Self { home, ledger: Ledger::open(&settings, Role::Daemon).unwrap(), gateway, terms }
    }

    /// What became of every letter: to whom, about what, in which state.
    pub(super) fn letters(&self, payment: u8) -> Vec<(String, String, String)> {
        let mut all: Vec<_> =
            self.story(payment).letters.into_iter().map(|it| (it.recipient, it.about.code(), it.state)).collect();
        all.sort();
        all
    }
}

pub(super) fn letter(recipient: &str, notice: &str, state: &str) -> (String, String, String) {
    (recipient.into(), notice.into(), state.into())
}

#[tokio::test]
async fn each_recipient_gets_one_letter_for_a_confirmed_state_and_none_for_a_repeat() {
    let house = House::with(both(), |_| {});
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    house.post(1, "Paid", at(2)).await;
    house.poll(1, "Paid", at(3)).await;
    assert_eq!(house.letters(1), [letter(BOOKS, "paid", "waiting"), letter(OWNER, "paid", "waiting")]);
    let twice = "INSERT INTO outbox (payment_id, notice, recipient, state, written, due) \
                 SELECT payment_id, notice, recipient, 'waiting', 0, 0 FROM outbox LIMIT 1";
    assert!(house.foreign().execute(twice, []).unwrap_err().to_string().contains("UNIQUE"));
}

#[tokio::test]
async fn one_letter_is_settled_as_the_next_is_begun_unless_that_was_withdrawn() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    let letters = house.due(at(0)).await;
    let [first, second] = &letters[..] else { panic!("two letters: {letters:?}") };
    assert!(house.begin(first).await);
    let begun = house.ledger.next_letter(vec![(first.id, Attempt::Sent)], Some(second.clone()), at(1)).await.unwrap();
    assert_eq!(begun.unwrap().id, second.id);
    let states = || house.story(1).letters.into_iter().map(|it| (it.id, it.state, it.attempts)).collect::<Vec<_>>();
    assert_eq!(states(), [(second.id, "waiting".into(), 1), (first.id, "sent".into(), 1)]);

    house.post(2, "Paid", at(2)).await;
    let third = house.due(at(2)).await.into_iter().find(|letter| letter.id > second.id).unwrap();
    house.poll(2, "Cancelled", at(3)).await;
    let begun = house.ledger.next_letter(vec![(second.id, Attempt::Sent)], Some(third.clone()), at(4)).await.unwrap();
    assert!(begun.is_none(), "withdrawn");
    assert_eq!(states(), [(second.id, "sent".into(), 1), (first.id, "sent".into(), 1)]);
}

#[tokio::test]
async fn the_number_of_a_withdrawn_letter_is_never_given_to_another() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    let withdrawn = house.story(1).letters[0].id;
    house.poll(1, "Created", at(1)).await;
    assert!(house.letters(1).is_empty());
    let house = house.begun_anew();
    house.post(2, "Paid", at(2)).await;
    let next = house.story(2).letters[0].id;
    assert!(next > withdrawn, "{next} after {withdrawn}");
}

#[tokio::test]
async fn a_letter_about_a_claim_withdrawn_and_made_again_waits_anew() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    let begun = house.due(at(0)).await.remove(0);
    assert!(house.begin(&begun).await);
    house.poll(1, "Created", at(1)).await;
    assert_eq!(
        house.letters(1),
        [
            letter(&begun.recipient, "corrected:created", "waiting"),
            letter(&begun.recipient, "reported:paid", "withdrawn"),
        ],
        "what nobody can have had is gone"
    );
    house.post(1, "Paid", at(2)).await;
    assert!(house.letters(1).iter().all(|it| it.2 == "waiting"));
    assert!(house.due(at(2)).await.iter().any(|it| it.recipient == begun.recipient && it.written == at(2)));
}

#[tokio::test]
async fn only_those_who_were_told_a_claim_are_corrected() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    let letters = house.due(at(0)).await;
    let owners = letters.iter().find(|letter| letter.recipient == OWNER).unwrap();
    house.carry(owners, Attempt::Sent, at(1)).await;
    assert_eq!(house.poll(1, "Created", at(2)).await, Outcome::Corrected);
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "corrected:created", "waiting"), letter(OWNER, "reported:paid", "sent"),]
    );
}

#[tokio::test]
async fn who_was_told_an_earlier_claim_that_falls_with_the_latest_is_corrected() {
    let terms = Terms { notify_on: vec![Status::AwaitingDelivery, Status::Paid, Status::Created], ..reporting() };
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..terms }, |_| {});
    house.post(1, "Awaiting Delivery", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::Sent, at(1)).await;
    house.post(1, "Paid", at(2)).await;
    house.poll(1, "Created", at(3)).await;
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "corrected:created", "waiting"), letter(OWNER, "reported:awaiting-delivery", "sent"),]
    );
}

#[tokio::test]
async fn a_letter_that_was_on_its_way_when_its_claim_fell_is_corrected_too() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    let (on_its_way, in_the_bag) = (&house.due(at(0)).await[0], &house.due(at(0)).await[1]);
    assert!(house.begin(on_its_way).await);
    house.poll(1, "Created", at(1)).await;
    assert!(!house.begin(in_the_bag).await, "what was not tried yet must not go");
    house.settle(on_its_way, Attempt::Sent, at(2)).await;
    let told = &on_its_way.recipient;
    assert_eq!(house.letters(1), [letter(told, "corrected:created", "waiting"), letter(told, "reported:paid", "sent")]);
}

#[tokio::test]
async fn the_answer_to_a_withdrawn_letter_is_never_taken_for_that_of_the_next() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    let on_its_way = house.due(at(15 * 60)).await.remove(0);
    assert!(house.begin(&on_its_way).await);
    house.poll(1, "Paid", at(15 * 60)).await;
    house.settle(&on_its_way, Attempt::Refused { error: "no such box".into() }, at(15 * 60 + 1)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "paid", "waiting"), letter(OWNER, "unconfirmed:paid", "withdrawn")]);
    house.settle(&on_its_way, Attempt::Sent, at(15 * 60 + 1)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "paid", "waiting"), letter(OWNER, "unconfirmed:paid", "sent")]);
}

#[tokio::test]
async fn a_confirmation_is_told_only_to_those_the_report_did_not_reach() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    for one in house.due(at(0)).await {
        let refused = Attempt::Refused { error: "550".into() };
        let attempt = if one.recipient == OWNER { Attempt::Sent } else { refused };
        house.carry(&one, attempt, at(1)).await;
    }
    house.poll(1, "Paid", at(2)).await;
    assert_eq!(
        house.letters(1),
        [
            letter(BOOKS, "paid", "waiting"),
            letter(BOOKS, "reported:paid", "withdrawn"),
            letter(OWNER, "reported:paid", "sent"),
        ]
    );
}

#[tokio::test]
async fn a_claim_that_was_refused_and_then_taken_back_is_neither_sent_by_hand_nor_corrected_but_told_anew() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::Refused { error: "552".into() }, at(1)).await;
    house.poll(1, "Created", at(2)).await;
    let withdrawn = house.story(1).letters.remove(0);
    assert_eq!((withdrawn.state.as_str(), withdrawn.attempts, withdrawn.settled), ("withdrawn", 1, Some(at(1))));
    assert_eq!(withdrawn.error.as_deref(), Some("552"), "why nobody has it can still be seen");
    assert_eq!(house.ledger.retry_letters(None, at(3)).await.unwrap(), 0);
    assert_eq!(house.letters(1).len(), 1, "nobody was told anything that wants correcting");
    house.post(1, "Paid", at(4)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "reported:paid", "waiting")]);
    house.carry(&house.due(at(4)).await[0], Attempt::Sent, at(5)).await;
    house.poll(1, "Created", at(6)).await;
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "corrected:created", "waiting"), letter(OWNER, "reported:paid", "sent")]
    );
}

#[tokio::test]
async fn a_claim_that_was_given_up_and_then_taken_back_may_have_arrived_and_is_corrected() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::GivenUp { error: "took too long".into() }, at(1)).await;
    house.poll(1, "Created", at(2)).await;
    assert_eq!(house.ledger.retry_letters(None, at(3)).await.unwrap(), 0);
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "corrected:created", "waiting"), letter(OWNER, "reported:paid", "withdrawn")]
    );
}

#[tokio::test]
async fn an_earlier_claim_that_could_not_be_told_falls_with_the_latest() {
    let terms = Terms { notify_on: vec![Status::AwaitingDelivery, Status::Paid], ..reporting() };
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..terms }, |_| {});
    house.post(1, "Awaiting Delivery", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::Refused { error: "552".into() }, at(1)).await;
    house.post(1, "Paid", at(2)).await;
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "reported:awaiting-delivery", "refused"), letter(OWNER, "reported:paid", "waiting")],
        "that has not been answered yet"
    );
    house.poll(1, "Created", at(3)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "reported:awaiting-delivery", "withdrawn")]);
}

#[tokio::test]
async fn a_claim_that_could_not_be_told_before_it_was_confirmed_is_not_sent_by_hand_after_the_confirmation() {
    for attempt in [Attempt::Refused { error: "552".into() }, Attempt::GivenUp { error: "451".into() }] {
        for (announce, claim) in [(Announce::Reported, "reported:paid"), (Announce::Confirmed, "unconfirmed:paid")] {
            let terms = Terms { announce, recipients: vec![OWNER.into()], ..reporting() };
            let house = House::with(terms, |_| {});
            house.post(1, "Paid", at(0)).await;
            house.carry(&house.due(at(15 * 60)).await[0], attempt.clone(), at(15 * 60)).await;
            house.poll(1, "Paid", at(15 * 60 + 1)).await;
            assert_eq!(house.letters(1), [letter(OWNER, "paid", "waiting"), letter(OWNER, claim, "withdrawn")]);
            assert_eq!(house.ledger.retry_letters(None, at(15 * 60 + 2)).await.unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn who_was_corrected_and_then_rightly_told_hears_of_the_confirmation() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::Sent, at(1)).await;
    house.poll(1, "Created", at(2)).await;
    house.carry(&house.due(at(2)).await[0], Attempt::Sent, at(3)).await;
    house.poll(1, "Paid", at(4)).await;
    assert_eq!(
        house.letters(1),
        [
            letter(OWNER, "corrected:created", "sent"),
            letter(OWNER, "paid", "waiting"),
            letter(OWNER, "reported:paid", "sent"),
        ]
    );
}

#[tokio::test]
async fn a_state_the_gateway_fell_back_to_is_told_to_those_a_correction_does_not_reach() {
    let terms = Terms { notify_on: vec![Status::Refunded, Status::Paid], ..reporting() };
    let house = House::with(terms, |_| {});
    house.post(1, "Refunded", at(0)).await;
    let letters = house.due(at(0)).await;
    let owners = letters.iter().find(|letter| letter.recipient == OWNER).unwrap();
    house.carry(owners, Attempt::Sent, at(1)).await;
    house.poll(1, "Paid", at(2)).await;
    assert_eq!(
        house.letters(1),
        [
            letter(BOOKS, "paid", "waiting"),
            letter(OWNER, "corrected:paid", "waiting"),
            letter(OWNER, "reported:refunded", "sent"),
        ]
    );
}

#[tokio::test]
async fn a_letter_is_deferred_then_refused_or_given_up_then_retried() {
    let house = House::with(reporting(), |_| {});
    house.post(1, "Paid", at(0)).await;
    let letters = house.due(at(0)).await;
    for one in &letters {
        house.carry(one, Attempt::Deferred { until: at(60), error: "451".into() }, at(1)).await;
    }
    assert!(house.due(at(59)).await.is_empty());
    let again = house.due(at(60)).await;
    assert_eq!((again.len(), again[0].attempts, &again[0].token), (2, 1, &letters[0].token));
    house.carry(&again[0], Attempt::Refused { error: "550".into() }, at(61)).await;
    house.carry(&again[1], Attempt::GivenUp { error: "451".into() }, at(61)).await;
    assert!(house.due(at(9999)).await.is_empty());
    let states: Vec<_> = house.story(1).letters.into_iter().map(|it| (it.state, it.attempts, it.error)).collect();
    assert!(states.contains(&("refused".into(), 2, Some("550".into()))));
    assert!(states.contains(&("given-up".into(), 2, Some("451".into()))));
    assert_eq!(house.ledger.retry_letters(Some(again[0].id), at(70)).await.unwrap(), 1);
    let retried = house.due(at(70)).await.remove(0);
    assert_eq!((retried.id, retried.since, retried.attempts), (again[0].id, at(70), 0), "its days begin anew");
    assert_eq!((retried.written, &retried.token), (at(0), &again[0].token), "but it is the same letter");
    let listed = || house.story(1).letters.into_iter().find(|it| it.id == retried.id).unwrap().attempts;
    assert_eq!(listed(), 2, "every try is told");
    house.carry(&retried, Attempt::Deferred { until: at(71), error: "451".into() }, at(70)).await;
    assert_eq!((house.due(at(71)).await[0].attempts, listed()), (1, 3));
    assert_eq!(house.ledger.retry_letters(None, at(71)).await.unwrap(), 2);
    assert_eq!(house.due(at(71)).await.len(), 2);
    assert_ne!(letters[0].token, letters[1].token);
}

#[tokio::test]
async fn a_letter_that_was_tried_and_then_retried_counts_as_tried_until_it_is_written_anew() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    house.carry(&house.due(at(0)).await[0], Attempt::Deferred { until: at(60), error: "451".into() }, at(1)).await;
    assert_eq!(house.ledger.retry_letters(None, at(2)).await.unwrap(), 1);
    house.poll(1, "Created", at(3)).await;
    assert_eq!(
        house.letters(1),
        [letter(OWNER, "corrected:created", "waiting"), letter(OWNER, "reported:paid", "withdrawn")],
        "it may have arrived"
    );
    house.post(1, "Paid", at(4)).await;
    let anew = house.due(at(4)).await.into_iter().find(|it| it.about.code() == "reported:paid").unwrap();
    assert_eq!((anew.since, anew.attempts), (at(4), 0));
}

#[tokio::test]
async fn a_letter_that_was_sent_or_whose_time_has_not_come_is_not_retried() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    assert_eq!(house.ledger.retry_letters(None, at(1)).await.unwrap(), 0, "it may yet be confirmed");
    house.poll(1, "Paid", at(2)).await;
    let sent = house.due(at(2)).await.remove(0);
    house.carry(&sent, Attempt::Sent, at(3)).await;
    assert_eq!(house.ledger.retry_letters(Some(sent.id), at(4)).await.unwrap(), 0);
    house.settle(&sent, Attempt::GivenUp { error: "late".into() }, at(5)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "paid", "sent")], "what was sent stays sent");
}

#[tokio::test]
async fn who_was_told_another_amount_than_the_gateways_is_corrected_and_who_was_not_is_told_the_right_one() {
    let house = House::with(reporting(), |_| {});
    house.hear(&message(1, "Paid", "41.00"), at(0), Admission::Wait).await.unwrap();
    let sent = house.due(at(0)).await.remove(0);
    house.carry(&sent, Attempt::Sent, at(1)).await;
    assert_eq!(house.poll(1, "Paid", at(2)).await, Outcome::Corrected);
    let other = if sent.recipient == OWNER { BOOKS } else { OWNER };
    let mut expected = [
        letter(&sent.recipient, "corrected:paid", "waiting"),
        letter(&sent.recipient, "reported:paid", "sent"),
        letter(other, "paid", "waiting"),
    ];
    expected.sort();
    assert_eq!(house.letters(1), expected);
}
