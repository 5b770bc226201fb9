//! Posts to the merchant: what Paynow does when a payment moves, resends included, and what goes wrong with them.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use super::message::{PostSpec, Recut};
use super::state::Twin;
use crate::simulator::misbehaviour::{Misbehaviour, Mischief};
use crate::simulator::outbound::{self, SendError};
use crate::simulator::{Delivery, Signature};

/// How often a post that failed is sent again.
/// <https://developers.paynow.co.zw/docs/status_update.html>
const RESENDS: u32 = 10;

/// How long after a failure the first resend comes; each further one takes twice as long. Paynow does not publish it.
const FIRST_RESEND: Duration = Duration::from_secs(10);

/// A post ready to go.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    guid: String,
    reference: String,
    url: Option<String>,
    body: Vec<u8>,
}

impl Twin {
    /// Moves the payment and posts its status update. Returns when the first attempt has ended; resends follow.
    pub(super) async fn move_to(self: &Arc<Self>, guid: &str, word: &str) -> Option<Delivery> {
        let (parcels, befalling) = {
            let mut state = self.state();
            let payment = state.find_mut(guid)?;
            word.clone_into(&mut payment.status);
            let payment = payment.clone();
            let befalling = state.mischiefs.befall_post();
            let befallen = |what: Misbehaviour| befalling.iter().any(|mischief| mischief.what == what);
            let parcel = Parcel {
                body: self.write(&payment, &spoilt(self.update(word), befallen)),
                reference: payment.reference,
                url: payment.result_url,
                guid: payment.guid,
            };
            let copies = if befallen(Misbehaviour::Duplicate) { 2 } else { 1 };
            let mut parcels = vec![parcel; copies];
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
            return Some(Delivery::Withheld(if silent { Misbehaviour::Silence } else { Misbehaviour::Reorder }));
        }
        if let Some(Mischief { wait, .. }) = befalling.iter().find(|mischief| mischief.what == Misbehaviour::Delay) {
            let (twin, wait) = (Arc::clone(self), *wait);
            self.tasks.spawn(async move {
                if twin.wait(wait).await {
                    twin.deliver(parcels).await;
                }
            });
            return Some(Delivery::Withheld(Misbehaviour::Delay));
        }
        self.deliver(parcels).await
    }

    /// Posts one after the other; returns how the first ended. Those that failed are sent again in the background.
    async fn deliver(self: &Arc<Self>, parcels: Vec<Parcel>) -> Option<Delivery> {
        let mut first = None;
        for parcel in parcels {
            let delivery = self.attempt(&parcel).await;
            if wants_resend(&delivery) {
                self.tasks.spawn(Arc::clone(self).resend(parcel));
            }
            first.get_or_insert(delivery);
        }
        first
    }

    async fn resend(self: Arc<Self>, parcel: Parcel) {
        for turn in 0..RESENDS {
            if !self.wait(self.scaled(FIRST_RESEND * 2_u32.pow(turn))).await
                || !wants_resend(&self.attempt(&parcel).await)
            {
                return;
            }
        }
        tracing::warn!(payment.reference = parcel.reference, "simulator: gave up a post after the last resend");
    }

    async fn attempt(&self, parcel: &Parcel) -> Delivery {
        let delivery = match &parcel.url {
            None => Delivery::Refused("not posted: the payment has no result URL".to_owned()),
            Some(url) => tokio::select! {
                sent = outbound::send(Method::POST, url, &[], parcel.body.clone()) => match sent {
                    Ok(reply) => Delivery::Answered(reply.status),
                    Err(error @ SendError::Unanswered(_)) => Delivery::Unanswered(error.to_string()),
                    Err(error) => Delivery::Refused(error.to_string()),
                },
                () = self.shutdown.cancelled() => Delivery::Refused("not posted: the simulator stops".to_owned()),
            },
        };
        tracing::info!(payment.reference = parcel.reference, outcome = %delivery, "simulator: posted a status update");
        self.note(&parcel.guid, &delivery);
        delivery
    }

    /// Remembers how a post ended, and tells whoever waits for it.
    pub(super) fn note(&self, guid: &str, delivery: &Delivery) {
        if let Some(payment) = self.state().find_mut(guid) {
            payment.posts.push(delivery.clone());
        }
        self.news.send_replace(());
    }

    /// After `wait`, moves the payment on to `word`, if it still stands where it stood.
    pub(super) fn move_later(self: &Arc<Self>, guid: &str, word: &'static str, wait: Duration) {
        let (twin, guid, wait) = (Arc::clone(self), guid.to_owned(), self.scaled(wait));
        let Ok(before) = self.payment(&guid) else { return };
        self.tasks.spawn(async move {
            let unmoved = |twin: &Self| twin.payment(&guid).is_ok_and(|payment| payment.status == before.status);
            if twin.wait(wait).await && unmoved(&twin) {
                twin.move_to(&guid, word).await;
            }
        });
    }
}

/// The message as the misbehaviours that change it leave it.
fn spoilt(mut spec: PostSpec, befallen: impl Fn(Misbehaviour) -> bool) -> PostSpec {
    if befallen(Misbehaviour::WrongKey) {
        spec = spec.signed(Signature::Wrong);
    }
    if befallen(Misbehaviour::Recut) {
        spec = spec.recut(Recut::GatewayReferenceToAmount);
    }
    if befallen(Misbehaviour::RecutReference) {
        spec = spec.recut(Recut::ReferenceToGatewayReference);
    }
    spec
}

/// Whether Paynow would send it again.
const fn wants_resend(delivery: &Delivery) -> bool {
    match delivery {
        Delivery::Answered(status) => *status >= 400,
        Delivery::Unanswered(_) => true,
        Delivery::Refused(_) | Delivery::Withheld(_) => false,
    }
}
