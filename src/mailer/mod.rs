//! Floor 3: letters out. What a letter says, and how it reaches a mail server or a directory; not when, not how often,
//! not the outbox: whoever calls decides that from the [`Failure`] it gets back.

mod directory;
mod letter;
mod postman;
#[cfg(test)]
mod read_back;
mod report;
mod report_figures;
mod report_wording;
mod shown;
mod smtp;
mod wording;

pub use directory::Directory;
pub use letter::{ComposeError, Composed, Letter, compose, compose_test};
pub use postman::{MailerSettings, Postman, Way, send_test};
pub use shown::shown;
pub use smtp::{Security, Smtp, SmtpSettings, probe};

/// Where letters go.
#[derive(Debug)]
pub enum Transport {
    /// Into a directory, one `.eml` a letter.
    Directory(Directory),
    /// To a mail server.
    Smtp(Smtp),
}

/// Why a letter was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server refused this letter for good. Final for this recipient: do not try again, report it.
    #[error("refused for good by the mail server: {code} {text}")]
    Refused {
        /// The SMTP reply code, 500 to 599.
        code: u16,
        /// What the server said, bounded and free of control characters.
        text: String,
    },
    /// Not now. The letter may even have arrived (an answer was lost): try again later, under the same Message-ID.
    #[error("not delivered, to be tried again: {0}")]
    Deferred(String),
    /// Not until a person mends something: certificate, password, host, directory. Try again later, and say so loudly.
    #[error("not delivered, mail needs attention: {0}")]
    Misconfigured(String),
}

impl Transport {
    /// Hands over one letter. `Ok` means that it is on disk, or that the mail server has taken responsibility for it.
    ///
    /// Dropping the future half-way is safe: the connection it used is never used again.
    ///
    /// # Errors
    /// See [`Failure`]: final for this recipient, to be tried again, or to be tried again with a loud word to a person.
    pub async fn deliver(&mut self, composed: &Composed) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.deliver(composed).await,
            Self::Smtp(smtp) => smtp.deliver(composed).await,
        }
    }

    /// Takes leave of the mail server, if a connection is kept. For when the outbox is empty, and before the end.
    pub async fn close(&mut self) {
        match self {
            Self::Directory(_) => {}
            Self::Smtp(smtp) => smtp.close().await,
        }
    }
}
