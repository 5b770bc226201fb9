//! Letters to a mail server, one after the other over one connection of our own. No pool, no second try, no outbox: a
//! connection on which anything went wrong is thrown away, so that no answer can be taken for another letter's.

mod connect;
mod fault;
mod in_turn;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::time::Instant;

use self::fault::{Fault, checked, say};
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
    connection: Box<AsyncSmtpConnection>,
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
        let connection = within(timeout, self.converse(kept, composed)).await?;
        self.kept = Some(Kept { connection: Box::new(connection), since: Instant::now() });
        Ok(())
    }

    /// Takes leave of the server, if a connection is kept.
    pub async fn close(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            let _ = tokio::time::timeout(FAREWELL, kept.connection.quit()).await;
        }
    }

    /// The conversation about one letter, and the connection it leaves behind.
    async fn converse(&mut self, kept: Option<Kept>, composed: &Composed) -> Result<AsyncSmtpConnection, Failure> {
        let envelope = composed.envelope();
        let mut connection = self.introduced(kept, envelope).await?;
        for recipient in envelope.to() {
            say(&mut connection, Rcpt::new(recipient.clone(), Vec::new()), &[250, 251])
                .await
                .map_err(|fault| fault.about_letter("the recipient"))?;
        }
        say(&mut connection, Data, &[354]).await.map_err(|fault| fault.about_letter("DATA"))?;
        let verdict = connection.message(composed.bytes()).await;
        checked(verdict, &[250]).map_err(|fault| fault.about_letter("the letter"))?;
        Ok(connection)
    }

    /// A connection that knows the sender of this letter. On a kept one this is where its end, or a word too many from
    /// the server, shows: nothing is accepted yet, so a new one takes its place.
    async fn introduced(&mut self, kept: Option<Kept>, envelope: &Envelope) -> Result<AsyncSmtpConnection, Failure> {
        if let Some(Kept { mut connection, .. }) = kept
            && sender(&mut connection, envelope).await.is_ok()
        {
            return Ok(*connection);
        }
        let mut connection = self.connect().await?;
        sender(&mut connection, envelope).await.map_err(|fault| fault.about_letter("the sender"))?;
        Ok(connection)
    }

    /// A new connection, greeted, encrypted and authenticated as configured.
    async fn connect(&mut self) -> Result<AsyncSmtpConnection, Failure> {
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

/// Names whose letter it is.
async fn sender(connection: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), Fault> {
    say(connection, Mail::new(envelope.from().cloned(), Vec::new()), &[250]).await
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
            let mut connection = self.connect().await?;
            say(&mut connection, Noop, &[250]).await.map_err(|fault| fault.about_session("NOOP"))?;
            Ok(connection)
        };
        let mut connection = within(timeout, conversation).await?;
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
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
