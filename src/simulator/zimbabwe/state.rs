//! What the twin remembers: its payments and what befalls them. Behind one mutex, never held across a wait.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SimulatorSettings;
use super::delivery::Parcel;
use super::message::PostSpec;
use crate::domain::names::guid_text;
use crate::simulator::misbehaviour::Mischiefs;
use crate::simulator::{Delivery, SimulatorError};

/// The first Paynow reference, and how far apart they are: none ends in a nought, so that a digit moved to the
/// amount always changes it.
const REFERENCES: (usize, usize) = (35_216_224, 10);

/// The twin itself, shared by its pages and its posts.
#[derive(Debug)]
pub(super) struct Twin {
    pub(super) settings: SimulatorSettings,
    /// `http://` and the address in use.
    pub(super) origin: String,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Told whenever a poll came in or a post got its answer.
    pub(super) news: watch::Sender<()>,
    state: Mutex<State>,
}

/// Everything that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    payments: Vec<Payment>,
    by_guid: HashMap<String, usize>,
    by_trace: HashMap<String, usize>,
    pub(super) mischiefs: Mischiefs,
    /// The post that `reorder` holds.
    pub(super) held: Option<Parcel>,
}

/// One payment as the gateway knows it.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) guid: String,
    pub(super) gateway_reference: String,
    pub(super) reference: String,
    pub(super) amount: String,
    pub(super) status: String,
    pub(super) result_url: Option<String>,
    pub(super) return_url: Option<String>,
    pub(super) polls: u32,
    pub(super) posts: Vec<Delivery>,
}

/// What a shop says of a payment it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) reference: String,
    pub(super) amount: String,
    pub(super) result_url: Option<String>,
    pub(super) return_url: Option<String>,
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
    pub(super) fn payment(&self, guid: &str) -> Result<Payment, SimulatorError> {
        self.state().find(guid).cloned().ok_or(SimulatorError::UnknownPayment)
    }

    pub(super) fn poll_url(&self, guid: &str) -> String {
        format!("{}/Interface/CheckPayment/?guid={guid}", self.origin)
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

    /// The body that `spec` describes for this payment.
    pub(super) fn write(&self, payment: &Payment, spec: &PostSpec) -> Vec<u8> {
        let base = |word: &str| {
            [
                ("reference", payment.reference.as_str()),
                ("paynowreference", &payment.gateway_reference),
                ("amount", &payment.amount),
                ("status", word),
                ("pollurl", &self.poll_url(&payment.guid)),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
        };
        spec.write(base, &self.settings.key)
    }

    /// The genuine status update with this word, with the extra fields if the merchant has them enabled.
    pub(super) fn update(&self, word: &str) -> PostSpec {
        let spec = PostSpec::status(word);
        if self.settings.extras { spec.extras() } else { spec }
    }
}

impl State {
    /// Takes on an order that can be traced; `None` if its merchanttrace was used before.
    pub(super) fn begin_traced(&mut self, order: Order, trace: &str) -> Option<Payment> {
        if self.by_trace.contains_key(trace) {
            return None;
        }
        self.by_trace.insert(trace.to_owned(), self.payments.len());
        Some(self.begin(order))
    }

    /// Takes an order on.
    pub(super) fn begin(&mut self, order: Order) -> Payment {
        let at = self.payments.len();
        let payment = Payment {
            guid: new_guid(),
            gateway_reference: (REFERENCES.0 + at * REFERENCES.1).to_string(),
            reference: order.reference,
            amount: order.amount,
            status: "Created".to_owned(),
            result_url: order.result_url,
            return_url: order.return_url,
            polls: 0,
            posts: Vec::new(),
        };
        self.by_guid.insert(payment.guid.clone(), at);
        self.payments.push(payment.clone());
        payment
    }

    pub(super) fn payments(&self) -> &[Payment] {
        &self.payments
    }

    pub(super) fn find(&self, guid: &str) -> Option<&Payment> {
        self.payments.get(*self.by_guid.get(&guid.to_ascii_lowercase())?)
    }

    pub(super) fn find_mut(&mut self, guid: &str) -> Option<&mut Payment> {
        self.payments.get_mut(*self.by_guid.get(&guid.to_ascii_lowercase())?)
    }

    pub(super) fn find_traced(&self, trace: &str) -> Option<&Payment> {
        self.payments.get(*self.by_trace.get(trace)?)
    }

    pub(super) fn find_numbered(&self, gateway_reference: &str) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.gateway_reference == gateway_reference)
    }
}

/// A GUID nobody has seen before. Unique, which is all a twin needs; not a secret.
fn new_guid() -> String {
    let half = || RandomState::new().hash_one(std::time::Instant::now());
    let mut guid = [0_u8; 16];
    for (byte, random) in guid.iter_mut().zip(half().to_be_bytes().into_iter().chain(half().to_be_bytes())) {
        *byte = random;
    }
    // Version 4, variant 1, as GUIDs from a random source say of themselves.
    guid[6] = guid[6] & 0x0f | 0x40;
    guid[8] = guid[8] & 0x3f | 0x80;
    guid_text(&guid)
}
