//! Paynow Poland's twin for one shop: what tests, the demo and `paynowd simulate --gateway poland` hold in their hands.

mod control;
mod delivery;
mod message;
mod payments;
mod routes;
mod settings;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

pub use message::{Headers, NotificationSpec};
pub use settings::SimulatorSettings;

use self::state::{Order, Payment, Twin};
use super::misbehaviour::Mischief;
use super::{Delivery, SimulatorError, outbound, server};

/// How long a peer may take to finish what it began when the twin stops.
const STOPPING: Duration = Duration::from_secs(5);

/// A running twin. Dropping it ends it; [`Simulator::stop`] also waits for the end.
#[derive(Debug)]
pub struct Simulator {
    twin: Arc<Twin>,
    _until_dropped: DropGuard,
}

impl Simulator {
    /// Starts a twin; it answers when this returns.
    ///
    /// # Errors
    /// The address is not a loopback address, or cannot be listened on.
    pub async fn start(settings: SimulatorSettings) -> Result<Self, SimulatorError> {
        let address = settings.listen;
        if !address.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(address));
        }
        let bind = |source| SimulatorError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let origin = format!("http://{}", listener.local_addr().map_err(bind)?);
        let twin = Twin::new(settings, origin);
        let answering = Arc::clone(&twin);
        let handler = move |request| routes::answer(Arc::clone(&answering), request);
        twin.tasks.spawn(server::serve(listener, twin.shutdown.clone(), handler));
        tracing::info!(origin = twin.origin, "simulator: Paynow Poland's twin listens");
        Ok(Self { _until_dropped: twin.shutdown.clone().drop_guard(), twin })
    }

    /// Where it listens: `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn origin(&self) -> &str {
        &self.twin.origin
    }

    /// Begins a payment without HTTP and without notifying anybody; it stands at NEW. Returns its `paymentId`. Without
    /// an address the settings' one is notified.
    pub fn create(&self, external_id: &str, grosze: u64, notification_url: Option<&str>) -> String {
        let order = Order {
            external_id: external_id.to_owned(),
            grosze,
            notification_url: notification_url.map(str::to_owned),
            ..Order::default()
        };
        self.twin.begin(order).id
    }

    /// Changes what status questions are answered with. Notifies nobody: a notification is lost.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn set_status(&self, payment_id: &str, word: &str) -> Result<(), SimulatorError> {
        self.twin.change(payment_id, word).map(drop)
    }

    /// Moves the payment as Paynow would: changes what questions are answered with and posts the notification,
    /// misbehaving as told. Returns how the first attempt ended; until there is a 200 or a 202, this change's own chain
    /// of retries follows, whatever becomes of later changes.
    ///
    /// # Errors
    /// There is no such payment.
    pub async fn move_to(&self, payment_id: &str, word: &str) -> Result<Delivery, SimulatorError> {
        self.twin.move_to(payment_id, word).await
    }

    /// Posts exactly what `spec` says, once: no misbehaviour, no retry, and the payment does not move.
    ///
    /// # Errors
    /// There is no such payment, nobody to notify, the address is not on this machine, or nobody answered.
    pub async fn notify(&self, payment_id: &str, spec: &NotificationSpec) -> Result<u16, SimulatorError> {
        let payment = self.twin.payment(payment_id)?;
        let url = spec.url.as_ref().or(payment.notification_url.as_ref()).ok_or(SimulatorError::NoResultUrl)?;
        let (headers, body) = self.twin.write(&payment, spec);
        let status = outbound::send(Method::POST, url, &headers, body).await?.status;
        self.twin.note(payment_id, &Delivery::Answered(status));
        Ok(status)
    }

    /// The headers and the body that `spec` describes, for those who post themselves.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn notification(
        &self,
        payment_id: &str,
        spec: &NotificationSpec,
    ) -> Result<(Headers, Vec<u8>), SimulatorError> {
        Ok(self.twin.write(&self.twin.payment(payment_id)?, spec))
    }

    /// Misbehaves from now on: [`Misbehaviour`](super::Misbehaviour) as it is means always.
    pub fn misbehave(&self, mischief: impl Into<Mischief>) {
        self.twin.state().mischiefs.add(mischief.into());
    }

    /// Misbehaves no more.
    pub fn behave(&self) {
        self.twin.state().mischiefs.clear();
    }

    /// How often the payment's status was asked with the right keys; zero for one that does not exist.
    pub fn polls(&self, payment_id: &str) -> u32 {
        self.twin.payment(payment_id).map_or(0, |payment| payment.polls)
    }

    /// How each attempt to notify about the payment ended, in order.
    pub fn posts(&self, payment_id: &str) -> Vec<Delivery> {
        self.twin.payment(payment_id).map_or_else(|_| Vec::new(), |payment| payment.posts)
    }

    /// Waits until the payment's status has been asked `wanted` times since it began.
    ///
    /// # Errors
    /// It was not, within `deadline`, or there is no such payment.
    pub async fn wait_for_polls(
        &self,
        payment_id: &str,
        wanted: u32,
        deadline: Duration,
    ) -> Result<(), SimulatorError> {
        self.wait_for(payment_id, wanted, deadline, |payment| payment.polls).await
    }

    /// Waits until `wanted` attempts to notify about the payment have ended since it began.
    ///
    /// # Errors
    /// They did not, within `deadline`, or there is no such payment.
    pub async fn wait_for_posts(
        &self,
        payment_id: &str,
        wanted: u32,
        deadline: Duration,
    ) -> Result<(), SimulatorError> {
        let count = |payment: &Payment| u32::try_from(payment.posts.len()).unwrap_or(u32::MAX);
        self.wait_for(payment_id, wanted, deadline, count).await
    }

    async fn wait_for(
        &self,
        payment_id: &str,
        wanted: u32,
        deadline: Duration,
        count: impl Fn(&Payment) -> u32,
    ) -> Result<(), SimulatorError> {
        let mut news = self.twin.news.subscribe();
        let enough = async {
            while count(&self.twin.payment(payment_id)?) < wanted {
                news.changed().await.ok();
            }
            Ok(())
        };
        match tokio::time::timeout(deadline, enough).await {
            Ok(ended) => ended,
            Err(_) => Err(SimulatorError::TooFew { wanted, seen: count(&self.twin.payment(payment_id)?) }),
        }
    }

    /// Stops listening, finishes the answers in flight, drops notifications that are still to be retried, and returns
    /// when all is quiet, within five seconds.
    pub async fn stop(self) {
        self.twin.shutdown.cancel();
        self.twin.tasks.close();
        if tokio::time::timeout(STOPPING, self.twin.tasks.wait()).await.is_err() {
            tracing::warn!("simulator: left a connection that did not finish");
        }
    }
}
