//! The letter that is taken up and still lies here. Its row says that it is being tried, since that must be on disk
//! before it goes, and what comes after a crash has to assume that it went. While this process lives it knows better: such
//! a letter can be withdrawn as if nobody had touched it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The letter, if there is one. The mailer takes up one at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct TakenUp(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// None lies here.
    #[default]
    None,
    /// This one does.
    Here(i64),
    /// This one did, and must not go.
    Withdrawn(i64),
}

impl TakenUp {
    /// The number of the letter that lies here.
    pub(super) fn here(&self) -> Option<i64> {
        match *self.state() {
            State::Here(letter) => Some(letter),
            State::None | State::Withdrawn(_) => None,
        }
    }

    /// This letter is taken up.
    pub(super) fn take(&self, letter: i64) {
        *self.state() = State::Here(letter);
    }

    /// The letter that lies here is withdrawn.
    pub(super) fn withdraw(&self) {
        let mut state = self.state();
        if let State::Here(letter) = *state {
            *state = State::Withdrawn(letter);
        }
    }

    /// This letter lies here no more. Returns whether it did: then it may go, and is on its way from now on.
    pub(super) fn hand_out(&self, letter: i64) -> bool {
        std::mem::take(&mut *self.state()) == State::Here(letter)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
