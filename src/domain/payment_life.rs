//! A payment whose life a test tells, minute by minute, and the terms it lives under.

use super::*;

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const POLL_URL: &str =
    "https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68";

pub(super) fn start() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
}

pub(super) fn terms() -> Terms {
    Terms {
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: 15 * MINUTE,
        tolerance: crate::domain::Amount::ZERO,
        notify_on: vec![Status::Paid, Status::AwaitingDelivery, Status::Disputed, Status::Refunded],
        recipients: vec!["owner@shop.example".into()],
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: vec![Duration::ZERO, Duration::from_secs(5)],
            pending: vec![Step { every: MINUTE, bound: Bound::Times(2) }],
            held: vec![Step { every: 60 * MINUTE, bound: Bound::Times(2) }],
            gap: Duration::from_secs(5),
        }),
    }
}

pub(super) fn facts(amount: &str) -> Facts {
    Facts {
        reference: Some(Reference::parse("INV-32").unwrap()),
        gateway_reference: Some(crate::domain::GatewayReference::parse("35216224").unwrap()),
        amount: Some(amount.parse().unwrap()),
        amount_paid: None,
        method: None,
    }
}

pub(super) fn seen(channel: Channel, status: Status, at: Timestamp) -> Observation {
    let url = PollUrl::parse(POLL_URL, &"https://www.paynow.co.zw".parse::<Origin>().unwrap()).unwrap();
    Observation {
        integration: IntegrationName::parse("shop").unwrap(),
        key: url.key(),
        at,
        asked: None,
        channel,
        evidence: Evidence::Sha512,
        status,
        wire_status: Some(
            WireStatus::parse(if status == Status::Unknown { "On Hold" } else { status.code() }).unwrap(),
        ),
        facts: facts("25.00"),
        poll_url: Some(url),
        said_at: None,
        body: Vec::new(),
    }
}

/// A payment and what was last decided about it, minute by minute.
pub(super) struct Life {
    pub(super) terms: Terms,
    pub(super) known: Option<Known>,
    pub(super) now: Timestamp,
}

impl Life {
    pub(super) fn under(terms: Terms) -> Self {
        Self { terms, known: None, now: start() }
    }

    pub(super) fn new() -> Self {
        Self::under(terms())
    }

    /// A payment that the gateway has confirmed at `status`.
    pub(super) fn confirmed(status: Status) -> Self {
        let mut life = Self::new();
        life.post(status);
        life.poll(status);
        life
    }

    pub(super) fn hear(&mut self, seen: &Observation) -> Decision {
        self.now = seen.at.max(self.now) + MINUTE;
        let decision = Payment::decide(self.known.as_ref(), seen, &self.terms);
        let payment = decision.payment.clone();
        let before = self.known.take().and_then(|known| known.proven);
        let proven = if payment.trust == Trust::Confirmed { Some(payment.status) } else { before };
        self.known = Some(Known { payment, proven, plan: decision.plan, unconfirmed_at: decision.unconfirmed_at });
        decision
    }

    pub(super) fn post(&mut self, status: Status) -> Decision {
        self.hear(&seen(Channel::Post, status, self.now))
    }

    pub(super) fn poll(&mut self, status: Status) -> Decision {
        self.hear(&seen(Channel::Poll, status, self.now))
    }

    pub(super) fn payment(&self) -> &Payment {
        &self.known.as_ref().unwrap().payment
    }

    pub(super) fn stands(&self) -> (Status, Trust) {
        (self.payment().status, self.payment().trust)
    }
}

pub(super) fn classes(decision: &Decision) -> Vec<Class> {
    decision.findings.iter().map(|finding| finding.class).collect()
}

pub(super) fn kinds(decision: &Decision) -> Vec<NoticeKind> {
    decision.notices.iter().map(|notice| notice.kind).collect()
}
