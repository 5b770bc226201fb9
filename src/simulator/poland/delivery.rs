//! Notifications: one for every change of a status, each with its own chain of retries, so that after an outage an
//! older status comes after a newer one.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use super::message::{Headers, NotificationSpec};
use super::state::Twin;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::outbound::{self, SendError};
use crate::simulator::{Delivery, Signature, SimulatorError};

/// How long after a notification that failed the first retry comes; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_mins(1);

/// The longest wait between two retries. Not published.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// For how long a notification is retried.
const GIVE_UP: Duration = Duration::from_hours(48);

/// From which status to which, after how long.
pub(super) type Step = (&'static str, &'static str, Duration);

/// A notification ready to go.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    payment_id: String,
    url: Option<String>,
    headers: Headers,
    body: Vec<u8>,
}

impl Twin {
    /// Moves the payment and posts its notification. Returns when the first attempt has ended; retries follow.
    pub(super) async fn move_to(self: &Arc<Self>, payment_id: &str, word: &str) -> Result<Delivery, SimulatorError> {
        let payment = self.change(payment_id, word)?;
        let (parcels, befalling) = {
            let mut state = self.state();
            let befalling = state.mischiefs.befall_post();
            let befallen = |what: Misbehaviour| befalling.iter().any(|mischief| mischief.what == what);
            let mut spec = NotificationSpec::status(word);
            if befallen(Misbehaviour::WrongKey) {
                spec = spec.signed(Signature::Wrong);
            }
            let (headers, body) = self.write(&payment, &spec);
            let parcel = Parcel { payment_id: payment.id, url: payment.notification_url, headers, body };
            let mut parcels = vec![parcel; if befallen(Misbehaviour::Duplicate) { 2 } else { 1 }];
            if befallen(Misbehaviour::Silence) {
                parcels.clear();
            } else if befallen(Misbehaviour::Reorder) && state.held.is_none() {
                state.held = parcels.pop();
                parcels.clear();
            } else {
                parcels.extend(state.held.take());
            }
            (parcels, befalling)
        };
        if parcels.is_empty() {
            let silent = befalling.iter().any(|mischief| mischief.what == Misbehaviour::Silence);
            return Ok(Delivery::Withheld(if silent { Misbehaviour::Silence } else { Misbehaviour::Reorder }));
        }
        if let Some(Mischief { wait, .. }) = befalling.iter().find(|mischief| mischief.what == Misbehaviour::Delay) {
            let (twin, wait) = (Arc::clone(self), *wait);
            self.tasks.spawn(async move {
                if twin.wait(wait).await {
                    twin.deliver(parcels).await;
                }
            });
            return Ok(Delivery::Withheld(Misbehaviour::Delay));
        }
        self.deliver(parcels).await.ok_or(SimulatorError::UnknownPayment)
    }

    /// Posts one after the other; returns how the first ended. Each that failed is retried in the background.
    async fn deliver(self: &Arc<Self>, parcels: Vec<Parcel>) -> Option<Delivery> {
        let mut first = None;
        for parcel in parcels {
            let delivery = self.attempt(&parcel).await;
            if wants_retry(&delivery) {
                self.tasks.spawn(Arc::clone(self).retry(parcel));
            }
            first.get_or_insert(delivery);
        }
        first
    }

    async fn retry(self: Arc<Self>, parcel: Parcel) {
        let (mut wait, mut waited) = (FIRST_RETRY, Duration::ZERO);
        while waited + wait <= GIVE_UP {
            if !self.wait(self.scaled(wait)).await || !wants_retry(&self.attempt(&parcel).await) {
                return;
            }
            waited += wait;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        tracing::warn!(payment.key = parcel.payment_id, "simulator: gave up a notification after the last retry");
    }

    async fn attempt(&self, parcel: &Parcel) -> Delivery {
        let delivery = match &parcel.url {
            None => Delivery::Refused("not posted: the shop has no notification address".to_owned()),
            Some(url) => tokio::select! {
                sent = outbound::send(Method::POST, url, &parcel.headers, parcel.body.clone()) => match sent {
                    Ok(reply) => Delivery::Answered(reply.status),
                    Err(error @ SendError::Unanswered(_)) => Delivery::Unanswered(error.to_string()),
                    Err(error) => Delivery::Refused(error.to_string()),
                },
                () = self.shutdown.cancelled() => Delivery::Refused("not posted: the simulator stops".to_owned()),
            },
        };
        tracing::info!(payment.key = parcel.payment_id, outcome = %delivery, "simulator: posted a notification");
        self.note(&parcel.payment_id, &delivery);
        delivery
    }

    /// Remembers how a post ended, and tells whoever waits for it.
    pub(super) fn note(&self, payment_id: &str, delivery: &Delivery) {
        if let Some(payment) = self.state().find_mut(payment_id) {
            payment.posts.push(delivery.clone());
        }
        self.news.send_replace(());
    }

    /// Takes the payment through `steps`, one after the other, as long as nobody else moves it.
    pub(super) fn follow(self: &Arc<Self>, payment_id: &str, steps: &'static [Step]) {
        let (twin, payment_id) = (Arc::clone(self), payment_id.to_owned());
        self.tasks.spawn(async move {
            for (before, word, wait) in steps {
                let waited = twin.wait(twin.scaled(*wait)).await;
                if !waited || !twin.payment(&payment_id).is_ok_and(|payment| payment.status == *before) {
                    return;
                }
                twin.move_to(&payment_id, word).await.ok();
            }
        });
    }
}

/// Only 200 and 202 end a chain.
const fn wants_retry(delivery: &Delivery) -> bool {
    match delivery {
        Delivery::Answered(status) => !matches!(status, 200 | 202),
        Delivery::Unanswered(_) => true,
        Delivery::Refused(_) | Delivery::Withheld(_) => false,
    }
}
