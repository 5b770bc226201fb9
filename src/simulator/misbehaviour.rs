//! How a gateway can let its merchants down, by name, and for how long it does.

use std::collections::HashSet;
use std::time::Duration;

/// How long a late post is late, a poll hangs, and `Retry-After` asks to wait, unless told otherwise.
const USUAL_WAIT: Duration = Duration::from_secs(10);

/// One way in which a gateway fails. The codes are stable: scripts use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misbehaviour {
    /// Posts: each is sent twice.
    Duplicate,
    /// Posts: each is sent later.
    Delay,
    /// Posts: every other one is held until after the next.
    Reorder,
    /// Posts: signed with a key that is nobody's.
    WrongKey,
    /// Posts: genuine, then re-cut: a digit of the Paynow reference goes to the amount. The hash verifies.
    Recut,
    /// Posts: genuine, then re-cut: a character of the reference goes to the Paynow reference. The hash verifies.
    RecutReference,
    /// Posts: none at all.
    Silence,
    /// Polls: each payment's first is answered 500, then all is well.
    ErrorThenOk,
    /// Polls: answered 200 with a web page.
    Html,
    /// Polls: accepted and not answered for a while, then 504.
    Hang,
    /// Polls: answered 429 with `Retry-After`.
    RetryAfter,
    /// Polls: answered that the payment is paid, signed with a key that is nobody's.
    Lie,
    /// Polls: answered 302.
    Redirect,
    /// Polls: answered with an unsigned error.
    UnsignedError,
}

crate::domain::codes!(Misbehaviour {
    Duplicate = "duplicate",
    Delay = "delay",
    Reorder = "reorder",
    WrongKey = "wrong-key",
    Recut = "recut",
    RecutReference = "recut-reference",
    Silence = "silence",
    ErrorThenOk = "error-then-ok",
    Html = "html",
    Hang = "hang",
    RetryAfter = "retry-after",
    Lie = "lie",
    Redirect = "redirect",
    UnsignedError = "unsigned-error",
});

impl Misbehaviour {
    /// Every misbehaviour, for messages that list the choices.
    pub const ALL: [Self; 14] = [
        Self::Duplicate,
        Self::Delay,
        Self::Reorder,
        Self::WrongKey,
        Self::Recut,
        Self::RecutReference,
        Self::Silence,
        Self::ErrorThenOk,
        Self::Html,
        Self::Hang,
        Self::RetryAfter,
        Self::Lie,
        Self::Redirect,
        Self::UnsignedError,
    ];

    /// Whether it befalls polls; the others befall posts.
    const fn befalls_polls(self) -> bool {
        match self {
            Self::Duplicate
            | Self::Delay
            | Self::Reorder
            | Self::WrongKey
            | Self::Recut
            | Self::RecutReference
            | Self::Silence => false,
            Self::ErrorThenOk
            | Self::Html
            | Self::Hang
            | Self::RetryAfter
            | Self::Lie
            | Self::Redirect
            | Self::UnsignedError => true,
        }
    }
}

/// How often a misbehaviour happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Until told to behave.
    Always,
    /// For so many posts or polls.
    Next(u32),
}

/// A misbehaviour, how often, and with what wait where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mischief {
    /// What goes wrong.
    pub what: Misbehaviour,
    /// How often.
    pub times: Times,
    /// How long `delay` delays, `hang` hangs, and `retry-after` asks to wait. Not divided by the time factor.
    pub wait: Duration,
}

impl Mischief {
    /// `what`, until told to behave.
    pub const fn always(what: Misbehaviour) -> Self {
        Self { what, times: Times::Always, wait: USUAL_WAIT }
    }

    /// `what`, for the next `count` posts or polls.
    pub const fn next(count: u32, what: Misbehaviour) -> Self {
        Self { what, times: Times::Next(count), wait: USUAL_WAIT }
    }

    /// The same with this wait.
    #[must_use]
    pub const fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl From<Misbehaviour> for Mischief {
    fn from(what: Misbehaviour) -> Self {
        Self::always(what)
    }
}

/// What is going wrong at present.
#[derive(Debug, Default)]
pub(super) struct Mischiefs {
    active: Vec<Mischief>,
    failed_once: HashSet<String>,
}

impl Mischiefs {
    /// Adds one; the same misbehaviour set before is replaced.
    pub(super) fn add(&mut self, mischief: Mischief) {
        self.active.retain(|other| other.what != mischief.what);
        self.active.push(mischief);
        self.failed_once.clear();
    }

    /// All is well from now on.
    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.failed_once.clear();
    }

    /// What befalls the next post: all that is set, together.
    pub(super) fn befall_post(&mut self) -> Vec<Mischief> {
        let mut befalling: Vec<Mischief> = Vec::new();
        for mischief in self.active.iter_mut().filter(|mischief| !mischief.what.befalls_polls()) {
            if use_up(&mut mischief.times) {
                befalling.push(*mischief);
            }
        }
        befalling
    }

    /// What befalls the next poll of this payment: the one set first.
    pub(super) fn befall_poll(&mut self, guid: &str) -> Option<Mischief> {
        for mischief in self.active.iter_mut().filter(|mischief| mischief.what.befalls_polls()) {
            let spared = mischief.what == Misbehaviour::ErrorThenOk && self.failed_once.contains(guid);
            if !spared && use_up(&mut mischief.times) {
                if mischief.what == Misbehaviour::ErrorThenOk {
                    self.failed_once.insert(guid.to_owned());
                }
                return Some(*mischief);
            }
        }
        None
    }
}

/// Takes one of the times that are left, if any is.
const fn use_up(times: &mut Times) -> bool {
    match times {
        Times::Always => true,
        Times::Next(0) => false,
        Times::Next(left) => {
            *left -= 1;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_its_misbehaviour() {
        for what in Misbehaviour::ALL {
            assert_eq!(Misbehaviour::from_code(what.code()), Some(what));
        }
        assert_eq!(Misbehaviour::from_code("none"), None);
    }

    #[test]
    fn a_counted_misbehaviour_ends_and_another_goes_on() {
        let mut mischiefs = Mischiefs::default();
        mischiefs.add(Mischief::next(1, Misbehaviour::Duplicate));
        mischiefs.add(Misbehaviour::WrongKey.into());
        mischiefs.add(Misbehaviour::Html.into());
        let names = |befalling: Vec<Mischief>| befalling.iter().map(|mischief| mischief.what).collect::<Vec<_>>();
        assert_eq!(names(mischiefs.befall_post()), [Misbehaviour::Duplicate, Misbehaviour::WrongKey]);
        assert_eq!(names(mischiefs.befall_post()), [Misbehaviour::WrongKey]);
        mischiefs.clear();
        assert_eq!(names(mischiefs.befall_post()), []);
        assert_eq!(mischiefs.befall_poll("a"), None);
    }

    #[test]
    fn error_then_ok_spares_a_payment_the_second_time() {
        let mut mischiefs = Mischiefs::default();
        mischiefs.add(Misbehaviour::ErrorThenOk.into());
        assert!(mischiefs.befall_poll("a").is_some());
        assert!(mischiefs.befall_poll("b").is_some());
        assert!(mischiefs.befall_poll("a").is_none());
    }
}
