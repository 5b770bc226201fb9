//! The round of the post: takes what is due from the outbox, has it written and delivered, and notes what became of it.
//! While one letter is on its way, the ledger notes what came of the one before it and that the one after it goes next:
//! a letter waits for the mail server or for the disk, whichever takes longer, and not for both.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use chrono_tz::Tz;
use lettre::message::Mailbox;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{ComposeError, Composed, Directory, Failure, Letter, Smtp, SmtpSettings, Transport, compose, compose_test};
use crate::domain::{Timestamp, masked};
use crate::ledger::{self, About, Attempt, Ledger, LedgerError};

/// How many letters are taken on one round.
const BAG: usize = 64;

/// How long the post rests after a failure that only a person can mend, so that not every letter meets it anew.
const REST: Duration = Duration::from_secs(30);

/// How letters leave.
#[derive(Clone, Debug)]
pub struct MailerSettings {
    /// Whom they are from.
    pub from: Mailbox,
    /// The zone they tell times in.
    pub zone: Tz,
    /// By which way.
    pub way: Way,
    /// Waits between tries; the last repeats.
    pub retry: Vec<Duration>,
    /// How long a letter is tried before it is given up, counted from when it was written, or last retried by hand.
    pub give_up_after: Duration,
}

/// By which way letters leave.
#[derive(Clone, Debug)]
pub enum Way {
    /// Into a directory.
    Directory(PathBuf),
    /// To a mail server.
    Smtp(SmtpSettings),
}

impl MailerSettings {
    /// The transport, ready but not yet connected.
    fn transport(&self) -> Transport {
        match &self.way {
            Way::Directory(path) => Transport::Directory(Directory::new(path.clone())),
            Way::Smtp(settings) => Transport::Smtp(Smtp::new(settings.clone(), self.from.email.domain().to_owned())),
        }
    }

    /// What goes out for this letter: the same whenever it is tried.
    fn write(&self, letter: &ledger::Letter) -> Result<Composed, ComposeError> {
        let wanted = Letter {
            message_id: format!("{}@{}", letter.token, self.from.email.domain()),
            recipient: letter.recipient.clone(),
            about: letter.about.clone(),
            written: letter.written,
        };
        compose(&wanted, &self.from, self.zone)
    }

    /// When a letter that is in the post `since` then and has failed `attempts` times before is tried again; `None` once
    /// that is long enough, and often enough: a letter may have waited for days in a house without power.
    fn next_try(&self, since: Timestamp, attempts: u32, now: Timestamp) -> Option<Timestamp> {
        let wait = usize::try_from(attempts).ok().and_then(|tried| self.retry.get(tried)).or(self.retry.last());
        let next = now + wait.copied().unwrap_or(REST);
        let seldom = usize::try_from(attempts).is_ok_and(|tried| tried < self.retry.len());
        // Written tomorrow, by a clock that has been set back since: young.
        let age = (next - since).to_std().unwrap_or_default();
        (seldom || age <= self.give_up_after).then_some(next)
    }
}

/// Carries letters from the outbox, one at a time.
pub struct Postman {
    clerk: Clerk,
    carrier: Carrier,
}

/// Keeps the book: which letter goes next, and what came of it.
struct Clerk {
    ledger: Arc<Ledger>,
    settings: Arc<MailerSettings>,
    /// Letters that were taken up, and what came of them, until the ledger knows. As long as the ledger cannot be written
    /// no more are carried, or they would be carried again and again.
    carried: Vec<(i64, Attempt)>,
}

/// Goes to the mail server.
struct Carrier {
    settings: Arc<MailerSettings>,
    transport: Transport,
    resting_until: Option<Instant>,
}

/// A letter that was taken up, and what goes out for it.
struct InHand {
    letter: ledger::Letter,
    written: Result<Composed, ComposeError>,
}

impl Postman {
    /// Carries the letters of `ledger`.
    pub fn new(ledger: Arc<Ledger>, settings: MailerSettings) -> Self {
        let (transport, settings) = (settings.transport(), Arc::new(settings));
        Self {
            clerk: Clerk { ledger, settings: Arc::clone(&settings), carried: Vec::new() },
            carrier: Carrier { settings, transport, resting_until: None },
        }
    }

    /// Goes on a round whenever something is due, until `shutdown`; the letter in hand is finished first.
    pub async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let bell = self.clerk.ledger.letters_due();
        while !shutdown.is_cancelled() {
            let (more, next) = match self.round(&shutdown).await {
                Ok(round) => round,
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be read or written; looking again shortly");
                    (false, None)
                }
            };
            if more {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = bell.notified() => {}
                heard = beat.changed() => if heard.is_err() { break },
                () = until(next) => {}
            }
        }
        self.carrier.transport.close().await;
    }

    /// Delivers a bag of what is due. Returns whether more may be due, and when the next letter is.
    async fn round(&mut self, shutdown: &CancellationToken) -> Result<(bool, Option<Timestamp>), LedgerError> {
        let Self { clerk, carrier } = self;
        clerk.settle().await?;
        if carrier.is_resting() {
            return Ok((false, None));
        }
        let (letters, next) = clerk.ledger.due_letters(Utc::now(), BAG).await?;
        let (mut more, mut bag) = (letters.len() == BAG, letters.into_iter());
        let mut in_hand = clerk.take_up(&mut bag).await?;
        while let Some(letter) = in_hand {
            let id = letter.letter.id;
            if carrier.is_resting() || shutdown.is_cancelled() {
                clerk.carried.push((id, Attempt::NotMade));
                clerk.settle().await?;
                return Ok((false, None));
            }
            if !clerk.ledger.hand_out(id) {
                // There was news of its payment: it is due as before, if it still is at all.
                more = true;
                clerk.carried.push((id, Attempt::NotMade));
                in_hand = clerk.take_up(&mut bag).await?;
                continue;
            }
            let (attempt, taken_up) = tokio::join!(carrier.carry(letter), clerk.take_up(&mut bag));
            clerk.carried.push((id, attempt));
            in_hand = taken_up?;
        }
        clerk.settle().await?;
        Ok((more && !carrier.is_resting(), next))
    }
}

impl Clerk {
    /// Takes the next letter of the bag that has not been withdrawn; the ledger notes this together with what came of
    /// those before.
    async fn take_up(&mut self, bag: &mut impl Iterator<Item = ledger::Letter>) -> Result<Option<InHand>, LedgerError> {
        for due in bag {
            let taken = self.ledger.next_letter(self.carried.clone(), Some(due.clone()), Utc::now());
            // The disk takes as long to note that it goes as it takes to write it: so both at once.
            let (taken, written) = tokio::join!(taken, async { self.settings.write(&due) });
            let taken = taken?;
            self.carried.clear();
            if let Some(letter) = taken {
                let written = if letter == due { written } else { self.settings.write(&letter) };
                return Ok(Some(InHand { letter, written }));
            }
        }
        self.settle().await?;
        Ok(None)
    }

    /// Has the ledger note what came of the letters that were taken up.
    async fn settle(&mut self) -> Result<(), LedgerError> {
        if !self.carried.is_empty() {
            self.ledger.next_letter(self.carried.clone(), None, Utc::now()).await?;
            self.carried.clear();
        }
        Ok(())
    }
}

impl Carrier {
    /// Whether no letter would go for now.
    fn is_resting(&self) -> bool {
        self.resting_until.is_some_and(|until| Instant::now() < until)
    }

    /// Tries to deliver one letter, as it was written, and says what became of it.
    async fn carry(&mut self, InHand { letter, written }: InHand) -> Attempt {
        let payment = match &letter.about {
            About::Payment { payment, .. } => payment.facts.reference.as_ref().map(masked),
            About::Report(_) => None,
        };
        let reference = payment.as_ref().map(tracing::field::display);
        let notice = letter.about.code();
        let delivered = match written {
            Ok(composed) => self.transport.deliver(&composed).await,
            Err(error) => {
                tracing::error!(letter.id, payment.reference = reference, %error, "a letter cannot be written");
                return Attempt::Refused { error: error.to_string() };
            }
        };
        self.resting_until = None;
        let failure = match delivered {
            Ok(()) => {
                tracing::info!(letter.id, letter.notice = notice, payment.reference = reference, "letter sent");
                return Attempt::Sent;
            }
            Err(failure) => failure,
        };
        let error = failure.to_string();
        let next = self.settings.next_try(letter.since, letter.attempts, Utc::now());
        match failure {
            Failure::Refused { .. } => {
                tracing::error!(
                    letter.id,
                    payment.reference = reference,
                    error,
                    "letter refused: mail retry sends it again"
                );
                return Attempt::Refused { error };
            }
            Failure::Misconfigured(_) => {
                tracing::error!(letter.id, payment.reference = reference, error, "letters wait until mail works");
                self.resting_until = Some(Instant::now() + REST);
            }
            Failure::Deferred(_) if next.is_some() => {
                tracing::warn!(letter.id, payment.reference = reference, error, "letter not sent yet");
            }
            Failure::Deferred(_) => {}
        }
        let Some(until) = next else {
            tracing::error!(
                letter.id,
                payment.reference = reference,
                error,
                "letter given up: mail retry sends it again"
            );
            return Attempt::GivenUp { error };
        };
        Attempt::Deferred { until, error }
    }
}

/// Sends one letter that is about nothing, to see whether letters arrive.
///
/// # Errors
/// It did not go out; the message says why and whether trying again makes sense.
pub async fn send_test(settings: &MailerSettings, recipient: &str) -> Result<(), Failure> {
    let composed = compose_test(recipient, &settings.from, Utc::now())
        .map_err(|error| Failure::Misconfigured(error.to_string()))?;
    let mut transport = settings.transport();
    transport.deliver(&composed).await?;
    transport.close().await;
    Ok(())
}

/// Waits until `instant` by the wall clock, for ever if there is none; the heartbeat catches a clock that steps.
async fn until(instant: Option<Timestamp>) {
    match instant {
        Some(instant) => tokio::time::sleep((instant - Utc::now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Checked, Days};
    use crate::ledger::{Changes, Conclusion};
    use crate::mailer::read_back::read_back;

    fn settings() -> MailerSettings {
        MailerSettings {
            from: "paynowd <paynowd@localhost>".parse().unwrap(),
            zone: chrono_tz::Africa::Harare,
            way: Way::Directory("mail".into()),
            retry: vec![Duration::from_mins(1), Duration::from_mins(5)],
            give_up_after: Duration::from_hours(1),
        }
    }

    #[tokio::test]
    async fn a_report_is_carried_like_any_other_letter_with_its_files() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let quarantine = ledger::QuarantineLimits::default();
        let settings_of = ledger::LedgerSettings { path, queue: 4, quarantine };
        let ledger = Arc::new(Ledger::open(&settings_of, ledger::Role::Command).unwrap());
        let now = Utc::now();
        let order = ledger::ReportOrder {
            days: Days::one(now.date_naive(), chrono_tz::UTC),
            integrations: Vec::new(),
            checked: Checked::default(),
            recipients: vec!["owner@shop.example".into(), "not an address".into()],
            nightly: "nightly",
        };
        let counted = ledger.reader().count_report(order, now).await.unwrap();
        let run = ledger::Run { name: "nightly", started: now, summary: String::new() };
        let changes = Changes::default();
        ledger.conclude(Conclusion { run, changes, report: Some(counted) }, now).await.unwrap();

        let mail = home.path().join("mail");
        let settings = MailerSettings { way: Way::Directory(mail.clone()), ..settings() };
        let mut postman = Postman::new(Arc::clone(&ledger), settings);
        let states = || {
            let mut states = Vec::new();
            let each = |letter: ledger::LetterState| {
                states.push((letter.recipient, letter.state, letter.attempts));
                true
            };
            ledger.reader().letters(each).unwrap();
            states
        };
        let state = |recipient: &str, state: &str, attempts| (recipient.to_owned(), state.to_owned(), attempts);
        let ended = CancellationToken::new();
        ended.cancel();
        postman.round(&ended).await.unwrap();
        let waiting = [state("not an address", "waiting", 0), state("owner@shop.example", "waiting", 0)];
        assert_eq!(states(), waiting, "what was taken up is put back at the end");
        postman.round(&CancellationToken::new()).await.unwrap();
        assert_eq!(states(), [state("not an address", "refused", 1), state("owner@shop.example", "sent", 1)]);
        let files: Vec<_> = std::fs::read_dir(mail).unwrap().map(|file| file.unwrap().path()).collect();
        let message = read_back(&std::fs::read(&files[0]).unwrap());
        assert!(files.len() == 1 && message.text.contains("No payment was paid."), "{}", message.text);
        assert!(message.files.len() == 2 && message.files[0].1.starts_with(b"id,integration,mode,reference,"));
        assert_eq!(ledger.retry_letters(None, Utc::now()).await.unwrap(), 1);
    }

    #[test]
    fn waits_between_tries_grow_and_the_last_repeats_until_the_letter_is_given_up() {
        let written = Timestamp::from_timestamp(1_700_000_000, 0).unwrap();
        let minutes = |count| written + Duration::from_mins(count);
        assert_eq!(settings().next_try(written, 0, written), Some(minutes(1)));
        assert_eq!(settings().next_try(written, 1, minutes(1)), Some(minutes(6)));
        assert_eq!(settings().next_try(written, 7, minutes(31)), Some(minutes(36)));
        assert_eq!(settings().next_try(written, 20, minutes(56)), None);
        let days = minutes(6 * 24 * 60);
        let first = settings().next_try(written, 0, days);
        assert_eq!(first, Some(days + Duration::from_mins(1)), "it waited in a house without power");
        assert_eq!(settings().next_try(written, 2, days), None, "tried as often as anybody's");
        assert_eq!(settings().next_try(minutes(90), 1, written), Some(minutes(5)), "the clock was set back");
    }
}
