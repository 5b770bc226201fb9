//! What the twin remembers: its payments and what befalls them. Behind one mutex, never held across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{NaiveDateTime, Utc};
use chrono_tz::Europe::Warsaw;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::SimulatorSettings;
use super::delivery::Parcel;
use crate::simulator::misbehaviour::Mischiefs;
use crate::simulator::{Delivery, SimulatorError};

/// What `paymentId`s are made of.
const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The twin itself, shared by its pages and its posts.
#[derive(Debug)]
pub(super) struct Twin {
    pub(super) settings: SimulatorSettings,
    /// `http://` and the address in use.
    pub(super) origin: String,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Told whenever a question came in or a notification got its answer.
    pub(super) news: watch::Sender<()>,
    state: Mutex<State>,
}

/// Everything that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order of their beginning.
    pub(super) payments: Vec<Payment>,
    pub(super) mischiefs: Mischiefs,
    /// The notification that `reorder` holds.
    pub(super) held: Option<Parcel>,
    /// What was answered under each Idempotency-Key: the request, the status and the body.
    pub(super) answered: HashMap<String, (String, u16, String)>,
}

/// One payment as the gateway knows it.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) external_id: String,
    pub(super) grosze: u64,
    pub(super) status: String,
    /// By a clock in Warsaw.
    pub(super) modified_at: NaiveDateTime,
    pub(super) notification_url: Option<String>,
    pub(super) polls: u32,
    pub(super) posts: Vec<Delivery>,
}

/// What a shop says of a payment it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) external_id: String,
    pub(super) grosze: u64,
    pub(super) notification_url: Option<String>,
    /// The BLIK code, where the customer typed it on the shop's own page.
    pub(super) blik: Option<String>,
}

impl Twin {
    pub(super) fn new(settings: SimulatorSettings, origin: String) -> Arc<Self> {
        Arc::new(Self {
            settings,
            origin,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            news: watch::Sender::new(()),
            state: Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the payment as it stands.
    pub(super) fn payment(&self, payment_id: &str) -> Result<Payment, SimulatorError> {
        self.state().find_mut(payment_id).map(|payment| payment.clone()).ok_or(SimulatorError::UnknownPayment)
    }

    /// Takes an order on. Nobody is notified.
    pub(super) fn begin(&self, order: Order) -> Payment {
        let payment = Payment {
            id: new_payment_id(),
            external_id: order.external_id,
            grosze: order.grosze,
            status: "NEW".to_owned(),
            modified_at: clock(),
            notification_url: order.notification_url.or_else(|| self.settings.notification_url.clone()),
            polls: 0,
            posts: Vec::new(),
        };
        self.state().payments.push(payment.clone());
        payment
    }

    /// Changes what questions are answered with. Returns the payment as it stands then.
    pub(super) fn change(&self, payment_id: &str, word: &str) -> Result<Payment, SimulatorError> {
        let mut state = self.state();
        let payment = state.find_mut(payment_id).ok_or(SimulatorError::UnknownPayment)?;
        word.clone_into(&mut payment.status);
        payment.modified_at = clock();
        Ok(payment.clone())
    }

    /// The gateway's own wait, divided by the time factor.
    pub(super) fn scaled(&self, wait: Duration) -> Duration {
        wait / self.settings.time_factor.max(1)
    }

    /// Waits, but not beyond the end of the twin. Whether the wait was waited out.
    pub(super) async fn wait(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.shutdown.cancelled() => false,
        }
    }
}

impl State {
    pub(super) fn find_mut(&mut self, payment_id: &str) -> Option<&mut Payment> {
        self.payments.iter_mut().rev().find(|payment| payment.id == payment_id)
    }
}

/// What a clock on a Polish wall shows.
fn clock() -> NaiveDateTime {
    Utc::now().with_timezone(&Warsaw).naive_local()
}

/// A `paymentId` nobody has seen before: `NOLV-8F9-08K-WGD`.
fn new_payment_id() -> String {
    let mut text = String::with_capacity(16);
    for (at, byte) in Uuid::new_v4().into_bytes().into_iter().take(13).enumerate() {
        if matches!(at, 4 | 7 | 10) {
            text.push('-');
        }
        text.extend(LETTERS.get(usize::from(byte) % LETTERS.len()).map(|letter| char::from(*letter)));
    }
    text
}
