//! The letter that is taken up and still lies here. Its row says that it is being tried, since that must be on disk
//! before it goes, and what comes after a crash has to assume that it went. While this process lives it knows better:
//! whoever has news of the letter's payment recalls it, and then it counts as one that nobody has touched.

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
    Here(Taken),
    /// So does this one, and it must not go as it is.
    Recalled(Taken),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    letter: i64,
    /// The payment that it is about, if it is about one.
    payment: Option<i64>,
}

impl TakenUp {
    /// This letter is taken up: it is on disk that it is being tried.
    pub(super) fn take(&self, letter: i64, payment: Option<i64>) {
        *self.state() = State::Here(Taken { letter, payment });
    }

    /// There may be news of this payment. If the letter that lies here is about it, it stays here, and its number is
    /// returned. Should the transaction fail, it will be taken up again in vain, and no more.
    pub(super) fn recall(&self, payment: i64) -> Option<i64> {
        let mut state = self.state();
        let (State::Here(taken) | State::Recalled(taken)) = *state else { return None };
        if taken.payment != Some(payment) {
            return None;
        }
        *state = State::Recalled(taken);
        Some(taken.letter)
    }

    /// This letter lies here no more. Returns whether it may go: then it is on its way from now on.
    pub(super) fn hand_out(&self, letter: i64) -> bool {
        matches!(std::mem::take(&mut *self.state()), State::Here(taken) if taken.letter == letter)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
