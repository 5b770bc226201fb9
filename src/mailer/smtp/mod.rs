//! Letters to a mail server, one after the other over one connection of our own. No pool, no second try, no outbox: a
//! connection on which anything went wrong is thrown away, so that no answer can be taken for another letter's.

mod connect;
mod fault;
mod in_turn;
#[cfg(test)]
mod scripted;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::time::Instant;

use self::session::{Opening, Session};
use super::{Composed, Failure};

/// How long a connection without letters is kept: less than any server's patience.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long taking leave may take. Nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the conversation is protected. There is no "if the server offers it".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain at first, then TLS or nothing (usually port 587).
    StartTls,
    /// TLS from the first byte (usually port 465).
    Tls,
    /// Plain text; only ever to this machine.
    None,
}

/// Which mail server, and how to talk to it.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Host name or address. With TLS, the name the certificate must carry.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the conversation is protected.
    pub security: Security,
    /// Who we are to the server; `None` for no authentication.
    pub username: Option<String>,
    /// The password that goes with `username`.
    pub password: Option<SecretString>,
    /// How long one letter may take, from connecting to the last answer.
    pub timeout: Duration,
}

/// A mail server, and perhaps a connection to it.
#[derive(Debug)]
pub struct Smtp {
    settings: SmtpSettings,
    hello: String,
    idle_max: Duration,
    /// Made when first needed, then kept: it holds the system's certificates.
    tls: Option<Arc<ClientConfig>>,
    kept: Option<Kept>,
}

/// A connection that has just had its letter accepted, and nothing since.
struct Kept {
    session: Session,
    since: Instant,
}

impl Smtp {
    /// A mail server that hears `hello` as our name: the domain of the From address. Connects when there is a letter.
    pub const fn new(settings: SmtpSettings, hello: String) -> Self {
        Self { settings, hello, idle_max: IDLE_MAX, tls: None, kept: None }
    }

    /// Hands over one letter. `Ok` means that the server has taken responsibility for it.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a 5xx answer about this letter, final for its recipient; [`Failure::Deferred`] for
    /// a 4xx, the deadline or a lost connection; [`Failure::Misconfigured`] where TLS or authentication fail.
    pub async fn deliver(&mut self, composed: &Composed) -> Result<(), Failure> {
        // Taken out, and put back only after a clean end: whatever else ends this call, including its being dropped,
        // ends the connection too.
        let kept = self.kept.take().filter(|kept| kept.since.elapsed() < self.idle_max);
        let timeout = self.settings.timeout;
        let session = within(timeout, self.converse(kept, composed)).await?;
        self.kept = Some(Kept { session, since: Instant::now() });
        Ok(())
    }

    /// Takes leave of the server, if a connection is kept.
    pub async fn close(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            let _ = tokio::time::timeout(FAREWELL, kept.session.quit()).await;
        }
    }

    /// The conversation about one letter, and the session it leaves behind.
    async fn converse(&mut self, kept: Option<Kept>, composed: &Composed) -> Result<Session, Failure> {
        let opening = Opening::of(composed);
        let mut session = self.begun(kept, &opening).await?;
        session.finish(&opening, composed.bytes()).await?;
        Ok(session)
    }

    /// A session in which this letter has begun. In a kept one this is where its end, or a word too many from the server,
    /// shows: nothing is accepted yet, so a new one takes its place.
    async fn begun(&mut self, kept: Option<Kept>, opening: &Opening) -> Result<Session, Failure> {
        if let Some(Kept { mut session, .. }) = kept
            && session.begin(opening).await.is_ok()
        {
            return Ok(session);
        }
        let mut session = self.connect().await?;
        session.begin(opening).await.map_err(|fault| fault.about_letter("the sender"))?;
        Ok(session)
    }

    /// A new connection, greeted, encrypted and authenticated as configured.
    async fn connect(&mut self) -> Result<Session, Failure> {
        let tls = match (&self.tls, self.settings.security) {
            (_, Security::None) => None,
            (Some(tls), Security::StartTls | Security::Tls) => Some(Arc::clone(tls)),
            (None, Security::StartTls | Security::Tls) => {
                Some(Arc::clone(self.tls.insert(connect::system_trust().await?)))
            }
        };
        connect::open(&self.settings, &self.hello, tls).await
    }
}

/// Tries everything but a letter: connect, TLS, authentication, one harmless command, leave.
///
/// # Errors
/// What would befall a letter now: [`Failure::Deferred`] may pass by itself, [`Failure::Misconfigured`] will not.
pub async fn probe(settings: &SmtpSettings, hello: &str) -> Result<(), Failure> {
    let mut server = Smtp::new(settings.clone(), hello.to_owned());
    server.probe().await
}

impl Smtp {
    async fn probe(&mut self) -> Result<(), Failure> {
        let timeout = self.settings.timeout;
        let conversation = async {
            let mut session = self.connect().await?;
            session.greet().await?;
            Ok(session)
        };
        let mut session = within(timeout, conversation).await?;
        let _ = tokio::time::timeout(FAREWELL, session.quit()).await;
        Ok(())
    }
}

/// The conversation's outcome, or its end at the deadline.
async fn within<T>(timeout: Duration, conversation: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(timeout, conversation)
        .await
        .unwrap_or_else(|_| Err(Failure::Deferred(format!("the mail server took longer than {timeout:?}"))))
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("since", &self.since).finish_non_exhaustive()
    }
}
