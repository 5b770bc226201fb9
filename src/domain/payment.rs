//! One payment, and what an observation makes of it. The decision is a pure function; the ledger calls it inside
//! the writer's transaction, so that no two facts about a payment can race.

use super::{
    Channel, Currency, Decision, Facts, GatewayKey, IntegrationName, Known, Mode, Observation, PollUrl, Seen, Status,
    Terms, Timestamp, Trust, WireStatus, known,
};

/// One payment as the ledger knows it: a fold of everything observed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The integration it came through.
    pub integration: IntegrationName,
    /// Its identity at the gateway.
    pub key: GatewayKey,
    /// Its base fields.
    pub facts: Facts,
    /// What its amounts are counted in.
    pub currency: Currency,
    /// Real money or not.
    pub mode: Mode,
    /// Where it stands.
    pub status: Status,
    /// The same in the gateway's word, where it sent one.
    pub wire_status: Option<WireStatus>,
    /// How far that may be relied on.
    pub trust: Trust,
    /// Where the gateway can be asked, as first seen: later messages cannot change it.
    pub poll_url: Option<PollUrl>,
    /// How far the gateway's posts have told of it.
    pub posted: Posted,
    /// When we first heard that money came; `None` while there is none.
    pub paid_at: Option<Timestamp>,
    /// When we first heard of it.
    pub first_seen: Timestamp,
    /// When its state, trust or base fields last changed.
    pub last_changed: Timestamp,
}

/// How far the gateway's own posts have told of a payment; the rest was learned by asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// No post ever came.
    Never,
    /// Posts told of earlier states, none of the present one.
    Earlier,
    /// A post told of the present state.
    Current,
}

super::codes!(Posted { Never = "never", Earlier = "earlier", Current = "current" });

impl Payment {
    /// What `seen` makes of a payment: `known` is what we knew of it, `None` if this is its first word.
    pub fn decide(known: Option<&Known>, seen: &Observation, terms: &Terms) -> Decision {
        match (known, seen.channel) {
            (None, _) => known::open(seen, terms),
            (Some(known), Channel::Post | Channel::Button) => known.hear_claim(seen, terms),
            (Some(known), Channel::Poll | Channel::Trace) => known.hear_answer(seen, terms),
            (Some(known), Channel::Import) => known.hear_shop(),
        }
    }

    /// A claim that wants the gateway's own word and has not had it.
    pub fn is_unproven(&self) -> bool {
        self.trust == Trust::Reported && self.status.wants_confirmation()
    }

    /// The payment as its first word has it.
    pub(super) fn opened(seen: &Observation, currency: Currency, mode: Mode) -> Self {
        Self {
            integration: seen.integration.clone(),
            key: seen.key.clone(),
            facts: seen.facts.clone(),
            currency,
            mode,
            status: seen.status,
            wire_status: seen.wire_status.clone(),
            trust: seen.channel.trust(),
            poll_url: seen.poll_url.clone(),
            posted: if seen.channel.is_post() { Posted::Current } else { Posted::Never },
            paid_at: seen.status.has_had_money().then_some(seen.at),
            first_seen: seen.at,
            last_changed: seen.at,
        }
    }

    /// This payment where it stands, with the base fields that only `seen` states: a reference may be missing from one
    /// message and stand in the next, older ones included.
    pub(super) fn completed(&self, seen: &Observation) -> Self {
        let facts = self.facts_after(seen);
        let last_changed = if facts == self.facts { self.last_changed } else { seen.at };
        Self { facts, last_changed, posted: self.posted_after(seen), ..self.clone() }
    }

    /// This payment with everything `seen` says taken over, as far as its channel is to be trusted.
    pub(super) fn moved(&self, seen: &Observation) -> Self {
        Self {
            facts: self.facts_after(seen),
            status: seen.status,
            wire_status: seen.wire_status.clone(),
            trust: seen.channel.trust(),
            poll_url: self.poll_url.clone().or_else(|| seen.poll_url.clone()),
            posted: self.posted_after(seen),
            paid_at: self.paid_at.or(Some(seen.at)).filter(|_| seen.status.has_had_money()),
            last_changed: seen.at,
            ..self.clone()
        }
    }

    /// The base fields once `seen` is told: what the gateway answers replaces what is known, what it posts adds to it.
    fn facts_after(&self, seen: &Observation) -> Facts {
        match seen.channel {
            Channel::Poll | Channel::Trace => self.facts.updated_by(&seen.facts),
            Channel::Post | Channel::Button | Channel::Import => seen.facts.updated_by(&self.facts),
        }
    }

    /// How far posts have told of it once `seen` is told.
    fn posted_after(&self, seen: &Observation) -> Posted {
        match (self.posted, seen.channel.is_post()) {
            (Posted::Never, false) => Posted::Never,
            (Posted::Earlier | Posted::Current, false) if seen.status != self.status => Posted::Earlier,
            (known @ (Posted::Earlier | Posted::Current), false) => known,
            (_, true) if seen.status == self.status || self.status.observe(seen.status) == Seen::Move => {
                Posted::Current
            }
            (Posted::Current, true) => Posted::Current,
            (Posted::Never | Posted::Earlier, true) => Posted::Earlier,
        }
    }
}

#[cfg(test)]
#[path = "payment_tests.rs"]
mod tests;
