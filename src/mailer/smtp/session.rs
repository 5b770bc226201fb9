//! A connection that is ready for letters, and what is said over it about one.

use std::fmt::Display;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};

use super::fault::{Fault, checked};
use crate::mailer::{Composed, Failure};

/// A connection to a server that knows us. It is not used again once anything went wrong.
pub(super) struct Session {
    connection: Box<AsyncSmtpConnection>,
    /// The server takes several commands at once.
    pipelines: bool,
}

/// One command, and what is to be answered.
struct Step {
    command: String,
    wanted: &'static [u16],
    /// What a failure calls it.
    name: &'static str,
}

/// What is said before a letter: whom it is from, whom it is for, and that it comes.
pub(super) struct Opening(Vec<Step>);

impl Opening {
    /// The opening of this letter.
    pub(super) fn of(composed: &Composed) -> Self {
        let envelope = composed.envelope();
        let step = |command: &dyn Display, wanted: &'static [u16], name: &'static str| Step {
            command: command.to_string(),
            wanted,
            name,
        };
        let mut steps = vec![step(&Mail::new(envelope.from().cloned(), Vec::new()), &[250], "the sender")];
        for recipient in envelope.to() {
            steps.push(step(&Rcpt::new(recipient.clone(), Vec::new()), &[250, 251], "the recipient"));
        }
        steps.push(step(&Data, &[354], "DATA"));
        Self(steps)
    }
}

impl Session {
    /// A session over `connection`, which is greeted, encrypted and authenticated as configured.
    pub(super) fn new(connection: AsyncSmtpConnection, pipelines: bool) -> Self {
        Self { connection: Box::new(connection), pipelines }
    }

    /// Begins a letter, and hears whether its sender is welcome. A server that takes all commands at once is told all:
    /// that saves two of four journeys (<https://www.rfc-editor.org/rfc/rfc2920>).
    pub(super) async fn begin(&mut self, Opening(steps): &Opening) -> Result<(), Fault> {
        let Some((first, others)) = steps.split_first() else { return Ok(()) };
        if !self.pipelines {
            return self.say(&first.command, first.wanted).await;
        }
        let commands: String = [first].into_iter().chain(others).map(|step| step.command.as_str()).collect();
        self.say(commands, first.wanted).await
    }

    /// Finishes a letter that was begun. `Ok` means that the server has taken responsibility for it.
    pub(super) async fn finish(&mut self, Opening(steps): &Opening, letter: &[u8]) -> Result<(), Failure> {
        for Step { command, wanted, name } in steps.iter().skip(1) {
            let answered = if self.pipelines { self.hear(wanted).await } else { self.say(command, wanted).await };
            answered.map_err(|fault| fault.about_letter(name))?;
        }
        self.say(text(letter), &[250]).await.map_err(|fault| fault.about_letter("the letter"))
    }

    /// Says something harmless.
    pub(super) async fn greet(&mut self) -> Result<(), Failure> {
        self.say(Noop, &[250]).await.map_err(|fault| fault.about_session("NOOP"))
    }

    /// Takes leave of the server.
    pub(super) async fn quit(&mut self) {
        let _ = self.connection.quit().await;
    }

    /// Says something and wants one of these answers. Any other is a fault, also a friendly one.
    async fn say(&mut self, words: impl Display + Send, wanted: &[u16]) -> Result<(), Fault> {
        checked(self.connection.command(words).await, wanted)
    }

    /// Wants one of these answers to what was said together with what was answered last.
    async fn hear(&mut self, wanted: &[u16]) -> Result<(), Fault> {
        checked(self.connection.read_response().await, wanted)
    }
}

/// A letter as it travels: a line that begins with a dot gets another before it, and a line of one dot ends it
/// (<https://www.rfc-editor.org/rfc/rfc5321#section-4.5.2>). In one piece, where the library sends the end by itself.
fn text(letter: &[u8]) -> String {
    let letter = String::from_utf8_lossy(letter);
    let mut text = String::with_capacity(letter.len() + letter.len() / 64 + 5);
    for line in letter.split_inclusive("\r\n") {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
    }
    if !text.ends_with("\r\n") {
        text.push_str("\r\n");
    }
    text.push_str(".\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_ends_with_its_own_dot_and_no_other() {
        for (letter, travels) in [
            ("one\r\ntwo\r\n", "one\r\ntwo\r\n.\r\n"),
            ("no end of line", "no end of line\r\n.\r\n"),
            (".\r\n.two\r\na.b\r\n\r\n.\r\n", "..\r\n..two\r\na.b\r\n\r\n..\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(text(letter.as_bytes()), travels);
        }
    }
}
