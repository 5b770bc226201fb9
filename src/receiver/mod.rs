//! Floor 3: they call us. Route → verify → record → reply.
//!
//! One table turns what happened into a status code (`Verdict::response`). A 2xx goes out only after the ledger
//! has the message on disk.

mod flood;
mod outage;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::domain::{Refusal, Timestamp, masked};
use crate::http::{self, BodyError, Cidr, HeardOut, Response};
use crate::ledger::{Admission, Arrival, Ledger, LedgerError, Refused};
use crate::protocol::{Integration, Integrations, Post, Rejection};
use flood::Flood;
use outage::Outage;

/// What the receiver may take.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// The largest body, in bytes.
    pub max_body: usize,
    /// How many refused posts are kept from one peer in a minute before it is told to stop.
    pub refusals_per_minute: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
}

/// The public door.
pub struct Receiver {
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    settings: ReceiverSettings,
    flood: Flood,
    outage: Outage,
}

/// What became of a request.
#[derive(Debug)]
enum Verdict {
    /// Authentic and on disk, or suspect and in quarantine: nothing better would come of sending it again.
    Taken,
    /// Not a message of the protocol: quarantined.
    Malformed,
    /// Its proof does not hold: quarantined.
    Forged,
    /// There is no such integration, or no such page.
    NotFound,
    /// Only posts are taken.
    WrongMethod,
    /// Not the media type of the integration's protocol, or compressed.
    WrongType,
    /// The body is larger than any message.
    TooLarge,
    /// The peer stopped in the middle of the body.
    Broken,
    /// This peer has sent too much that was refused.
    Flood(Duration),
    /// It could not be stored. The gateway shall bring it again.
    NotStored(LedgerError),
}

/// The status code that a post is answered which reads as `read`, if it can be stored.
pub fn would_answer<T>(read: &Result<T, Rejection>) -> u16 {
    read.as_ref().map_or_else(Verdict::of, |_| Verdict::Taken).response().status().as_u16()
}

impl Verdict {
    /// What becomes of a post that is not to be believed, once it is in quarantine.
    const fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::Malformed(_) => Self::Malformed,
            Rejection::Forged(_) => Self::Forged,
            Rejection::Suspect { .. } => Self::Taken,
        }
    }

    fn response(&self) -> Response {
        // Who may not be done sending is told to stop.
        match self {
            Self::Taken => http::empty(StatusCode::OK),
            Self::Malformed => http::empty(StatusCode::BAD_REQUEST),
            Self::Broken => http::closing(http::empty(StatusCode::BAD_REQUEST)),
            Self::Forged => http::empty(StatusCode::FORBIDDEN),
            Self::NotFound => http::closing(http::empty(StatusCode::NOT_FOUND)),
            Self::WrongMethod => {
                let mut response = http::closing(http::empty(StatusCode::METHOD_NOT_ALLOWED));
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                response
            }
            Self::WrongType => http::closing(http::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            Self::TooLarge => http::closing(http::empty(StatusCode::PAYLOAD_TOO_LARGE)),
            Self::Flood(wait) => http::come_back(http::empty(StatusCode::TOO_MANY_REQUESTS), *wait),
            Self::NotStored(_) => http::come_back(http::empty(StatusCode::SERVICE_UNAVAILABLE), http::A_LITTLE_LATER),
        }
    }
}

impl Receiver {
    /// A door to `ledger` for `integrations`.
    pub fn new(ledger: Arc<Ledger>, integrations: Arc<Integrations>, settings: ReceiverSettings) -> Self {
        let flood = Flood::new(settings.refusals_per_minute);
        Self { ledger, integrations, settings, flood, outage: Outage::default() }
    }

    /// Answers one request from `peer`.
    pub async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let peer = http::client_ip(peer.ip(), forwarded_for(request.headers()), &self.settings.trusted_proxies);
        let name = request.uri().path().strip_prefix("/paynow/");
        let verdict = match name.and_then(|name| self.integrations.find(name)) {
            Some(integration) => self.receive(&integration, request, peer).await,
            None => Verdict::NotFound,
        };
        if let Verdict::NotStored(error) = &verdict
            && let Some(unsaid) = self.outage.speak(Instant::now())
        {
            tracing::error!(%error, unsaid, "a post could not be stored; the gateway is asked to bring it again");
        }
        verdict.response()
    }

    /// Takes one post for `integration`.
    async fn receive(&self, integration: &Arc<Integration>, request: Request<Incoming>, peer: IpAddr) -> Verdict {
        if request.method() != Method::POST {
            return Verdict::WrongMethod;
        }
        let gateway = &integration.gateway;
        if !http::is_plain(request.headers(), gateway.media_type()) {
            return Verdict::WrongType;
        }
        let (head, body) = request.into_parts();
        let body = match http::read_body(body, self.settings.max_body).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) => return Verdict::TooLarge,
            Err(BodyError::Broken) => return Verdict::Broken,
        };
        if let Some(heard_out) = head.extensions.get::<HeardOut>() {
            heard_out.set();
        }
        let signatures: Vec<&[u8]> = gateway
            .signature_header()
            .map(|name| head.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect())
            .unwrap_or_default();

        let now = Utc::now();
        let arrival = Arrival::new(Some(peer), &signatures);
        match gateway.read_post(&Post { body: &body, signatures: &signatures }, now) {
            Ok(seen) => {
                let reference = seen.value().facts.reference.clone();
                let channel = seen.value().channel.code();
                let terms = Arc::clone(&integration.terms);
                match self.ledger.record(seen, Some(arrival), terms, Admission::Refuse).await {
                    Ok(recorded) => {
                        tracing::info!(
                            integration = %integration.name,
                            payment.reference = reference.as_ref().map(masked).map(tracing::field::display),
                            payment.status = recorded.status.code(),
                            channel,
                            outcome = recorded.outcome.code(),
                            "post recorded"
                        );
                        Verdict::Taken
                    }
                    Err(error) => Verdict::NotStored(error),
                }
            }
            Err(rejection) => self.refuse(integration, rejection, (peer, arrival), now, &body).await,
        }
    }

    /// Keeps a post that is not to be believed, unless this peer has sent too many that prove nothing.
    async fn refuse(
        &self,
        integration: &Integration,
        rejection: Rejection,
        (peer, arrival): (IpAddr, Arrival),
        at: Timestamp,
        body: &[u8],
    ) -> Verdict {
        let reason = rejection.to_string();
        let verdict = Verdict::of(&rejection);
        let (kind, about) = rejection.kept_as();
        // What is authentic is no stranger's nonsense, however odd it is.
        if kind != Refusal::Suspect
            && let Err(wait) = self.flood.admit(peer, Instant::now())
        {
            return Verdict::Flood(wait);
        }
        let name = integration.name.clone();
        let refused =
            Refused { integration: name, at, arrival, kind, reason: reason.clone(), about, body: body.to_vec() };
        if let Err(error) = self.ledger.refuse(refused, Arc::clone(&integration.terms)).await {
            return Verdict::NotStored(error);
        }
        tracing::warn!(integration = %integration.name, %peer, kind = kind.code(), reason, "post refused, kept in quarantine");
        verdict
    }
}

/// The values of every `X-Forwarded-For`, in order.
fn forwarded_for(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or("?"))
}
