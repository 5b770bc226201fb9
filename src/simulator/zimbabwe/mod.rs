//! Paynow Zimbabwe's twin for one merchant: what tests, the demo and `paynowd simulate` hold in their hands.

mod control;
mod delivery;
mod merchant;
mod message;
mod poll;
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

pub use message::{ButtonSale, PostSpec, Recut};
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

/// A payment the twin has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedPayment {
    /// The GUID of the poll URL, lower case: the payment's identity.
    pub guid: String,
    /// Where its status can be asked.
    pub poll_url: String,
    /// Paynow's number for it.
    pub gateway_reference: String,
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
        tracing::info!(origin = twin.origin, "simulator: Paynow Zimbabwe's twin listens");
        Ok(Self { _until_dropped: twin.shutdown.clone().drop_guard(), twin })
    }

    /// Where it listens: `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn origin(&self) -> &str {
        &self.twin.origin
    }

    /// Begins a payment without HTTP. Reference and amount are taken as they are, however odd; without a result URL
    /// the settings' one counts.
    pub fn initiate(&self, reference: &str, amount: &str, result_url: Option<&str>) -> SimulatedPayment {
        let order = Order {
            reference: reference.to_owned(),
            amount: amount.to_owned(),
            result_url: result_url.map(str::to_owned).or_else(|| self.twin.settings.result_url.clone()),
            ..Order::default()
        };
        let payment = self.twin.state().begin(order);
        SimulatedPayment {
            poll_url: self.twin.poll_url(&payment.guid),
            gateway_reference: payment.gateway_reference,
            guid: payment.guid,
        }
    }

    /// Changes what polls answer. Posts nothing.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn set_status(&self, guid: &str, word: &str) -> Result<(), SimulatorError> {
        let mut state = self.twin.state();
        let payment = state.find_mut(guid).ok_or(SimulatorError::UnknownPayment)?;
        word.clone_into(&mut payment.status);
        Ok(())
    }

    /// Moves the payment as Paynow would: changes what polls answer and posts the status update, misbehaving as told.
    /// Returns how the first attempt ended; after an HTTP error or no answer up to ten resends follow by themselves.
    ///
    /// # Errors
    /// There is no such payment.
    pub async fn move_to(&self, guid: &str, word: &str) -> Result<Delivery, SimulatorError> {
        self.twin.move_to(guid, word).await.ok_or(SimulatorError::UnknownPayment)
    }

    /// Posts exactly what `spec` says, once: no misbehaviour, no resend, and the payment does not move.
    ///
    /// # Errors
    /// There is no such payment, it has no result URL, the URL is not on this machine, or nobody answered.
    pub async fn post(&self, guid: &str, spec: &PostSpec) -> Result<u16, SimulatorError> {
        let payment = self.twin.payment(guid)?;
        let url = spec.url.as_ref().or(payment.result_url.as_ref()).ok_or(SimulatorError::NoResultUrl)?;
        let body = self.twin.write(&payment, spec);
        let status = outbound::send(Method::POST, url, &spec.headers, body).await?.status;
        self.twin.note(guid, &Delivery::Answered(status));
        Ok(status)
    }

    /// The body that `spec` describes for this payment, for those who post themselves.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn body(&self, guid: &str, spec: &PostSpec) -> Result<Vec<u8>, SimulatorError> {
        Ok(self.twin.write(&self.twin.payment(guid)?, spec))
    }

    /// The genuine status update of this payment with this word.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn status_update_body(&self, guid: &str, word: &str) -> Result<String, SimulatorError> {
        let body = self.body(guid, &self.twin.update(word))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The button notification of this sale.
    pub fn button_body(&self, sale: &ButtonSale) -> String {
        sale.write(&self.twin.settings.button_key)
    }

    /// Posts the button notification of this sale to a notification URL, once.
    ///
    /// # Errors
    /// The URL is not on this machine, or nobody answered.
    pub async fn post_button(&self, url: &str, sale: &ButtonSale) -> Result<u16, SimulatorError> {
        self.twin.post_button(url, sale).await
    }

    /// Misbehaves from now on: [`Misbehaviour`](super::Misbehaviour) as it is means always.
    pub fn misbehave(&self, mischief: impl Into<Mischief>) {
        self.twin.state().mischiefs.add(mischief.into());
    }

    /// Misbehaves no more.
    pub fn behave(&self) {
        self.twin.state().mischiefs.clear();
    }

    /// How often the payment was polled; zero for one that does not exist.
    pub fn polls(&self, guid: &str) -> u32 {
        self.twin.state().find(guid).map_or(0, |payment| payment.polls)
    }

    /// How each attempt to post about the payment ended, in order.
    pub fn posts(&self, guid: &str) -> Vec<Delivery> {
        self.twin.state().find(guid).map_or_else(Vec::new, |payment| payment.posts.clone())
    }

    /// Waits until the payment has been polled `wanted` times since it began. A poll counts when it arrives.
    ///
    /// # Errors
    /// It was not, within `deadline`, or there is no such payment.
    pub async fn wait_for_polls(&self, guid: &str, wanted: u32, deadline: Duration) -> Result<(), SimulatorError> {
        self.wait_for(guid, wanted, deadline, |payment| payment.polls).await
    }

    /// Waits until `wanted` attempts to post about the payment have ended since it began.
    ///
    /// # Errors
    /// They did not, within `deadline`, or there is no such payment.
    pub async fn wait_for_posts(&self, guid: &str, wanted: u32, deadline: Duration) -> Result<(), SimulatorError> {
        let count = |payment: &Payment| u32::try_from(payment.posts.len()).unwrap_or(u32::MAX);
        self.wait_for(guid, wanted, deadline, count).await
    }

    async fn wait_for(
        &self,
        guid: &str,
        wanted: u32,
        deadline: Duration,
        count: impl Fn(&Payment) -> u32,
    ) -> Result<(), SimulatorError> {
        let mut news = self.twin.news.subscribe();
        let enough = async {
            while count(&self.twin.payment(guid)?) < wanted {
                news.changed().await.ok();
            }
            Ok(())
        };
        match tokio::time::timeout(deadline, enough).await {
            Ok(ended) => ended,
            Err(_) => Err(SimulatorError::TooFew { wanted, seen: count(&self.twin.payment(guid)?) }),
        }
    }

    /// Stops listening, finishes the answers in flight, drops posts that are still to be resent, and returns when
    /// all is quiet, within five seconds.
    pub async fn stop(self) {
        self.twin.shutdown.cancel();
        self.twin.tasks.close();
        if tokio::time::timeout(STOPPING, self.twin.tasks.wait()).await.is_err() {
            tracing::warn!("simulator: left a connection that did not finish");
        }
    }
}

impl Twin {
    async fn post_button(&self, url: &str, sale: &ButtonSale) -> Result<u16, SimulatorError> {
        let body = sale.write(&self.settings.button_key).into_bytes();
        Ok(outbound::send(Method::POST, url, &[], body).await?.status)
    }
}
