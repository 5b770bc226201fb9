//! Whom to ask, and when: takes what is due from the ledger and asks each gateway politely.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Clock;
use super::asking::{Asker, Heard};
use super::trouble::Trouble;
use crate::domain::{Origin, Timestamp};
use crate::http::Client;
use crate::ledger::{Due, Ledger, LedgerError, Subject};
use crate::protocol::Integrations;

/// How long a gateway is left alone after a poll of ours ended by a bug, and a payment whose answer cannot be stored.
const AFTER_A_BUG: Duration = Duration::from_mins(1);

/// How many times what may be open at once is read ahead of what there is room for: looking at the ledger costs as much
/// as asking about a few payments.
const AHEAD: usize = 4;

/// How many answers are put on disk together, if so many come in time: one alone costs as much as a dozen. More, if
/// more may be open at once.
const TOGETHER: usize = 32;

/// How long an answer waits for others that are on their way. What is lost with it in a crash is asked again.
const GATHER: Duration = Duration::from_millis(200);

/// How politely gateways are asked.
#[derive(Clone, Copy, Debug)]
pub struct PollerSettings {
    /// How many questions may be open at one gateway at once.
    pub concurrency: usize,
}

/// Asks gateways about payments and orders that are due.
pub struct Poller {
    asker: Asker,
    integrations: Arc<Integrations>,
    settings: PollerSettings,
    hosts: HashMap<Origin, Host>,
    /// What is being asked about, or was and is not stored yet.
    asking: HashSet<Subject>,
    /// What of these could not be stored though anything else can, and stays among them until then.
    put_off: Vec<(Subject, Instant)>,
    /// What each open question, and each answer that is being stored, is about, and which gateway has it.
    open: HashMap<Id, (Subject, Origin)>,
    /// Open questions.
    questions: JoinSet<Heard>,
    /// What has come back and waits for more to be stored with it, at most until then.
    heard: Vec<(Subject, Origin, Heard)>,
    gathered_by: Instant,
    /// Answers that are being stored.
    stores: JoinSet<Result<(), LedgerError>>,
    /// Whether that fails just now.
    trouble: Trouble,
    /// When something becomes due that was not when the ledger was last looked at.
    next: Option<Timestamp>,
}

/// What we owe one gateway in courtesy, and what it is asked next.
#[derive(Default)]
struct Host {
    /// Questions without an answer.
    open: usize,
    /// Answers that are not stored yet.
    unstored: usize,
    closed_until: Option<Instant>,
    /// Read from the ledger already, the longest due first: so that not every answer costs another look at it.
    ahead: VecDeque<Due>,
    /// Whether the ledger may have more that is due than what was read.
    more: bool,
}

impl Host {
    /// How many questions more it may be asked, when so many may be open at once. A ledger that cannot keep up with the
    /// answers is not handed ever more of them: twice what is put on disk together is the end.
    fn room(&self, concurrency: usize) -> usize {
        let unheeded = (2 * together(concurrency)).saturating_sub(self.open + self.unstored);
        concurrency.saturating_sub(self.open).min(unheeded)
    }

    /// It is left alone for so long.
    fn close(&mut self, patience: Duration) {
        self.closed_until = self.closed_until.max(Some(Instant::now() + patience));
        self.forget();
    }

    /// What is ahead is read anew later: by then the ledger may know better.
    fn forget(&mut self) {
        self.ahead.clear();
        self.more = true;
    }
}

impl Poller {
    /// Asks about the payments and orders of `ledger` through `client`, by what `clock` shows.
    pub fn new(
        ledger: Arc<Ledger>,
        integrations: Arc<Integrations>,
        client: Client,
        settings: PollerSettings,
        clock: Clock,
    ) -> Self {
        Self {
            asker: Asker { ledger, client, clock },
            integrations,
            settings,
            hosts: HashMap::new(),
            asking: HashSet::new(),
            put_off: Vec::new(),
            open: HashMap::new(),
            questions: JoinSet::new(),
            heard: Vec::new(),
            gathered_by: Instant::now(),
            stores: JoinSet::new(),
            trouble: Trouble::default(),
            next: None,
        }
    }

    /// Asks whatever is due, whenever it is, until `shutdown`; questions that are open then, and those whose answer is
    /// not stored, are asked again next time.
    pub async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let (bell, clock) = (self.asker.ledger.polls_due(), self.asker.clock.clone());
        self.expect_more();
        loop {
            let now = clock.now();
            // Not every gateway is looked at each time, so what is due by now may be one's that would not be.
            if self.next.take_if(|next| *next <= now).is_some() {
                self.expect_more();
            }
            if let Err(error) = self.ask_due(now).await {
                tracing::warn!(%error, "cannot see which polls are due; looking again shortly");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = bell.notified() => self.expect_more(),
                heard = beat.changed() => if heard.is_err() { return } else { self.expect_more() },
                Some(asked) = self.questions.join_next_with_id() => self.came_back(asked),
                Some(stored) = self.stores.join_next_with_id() => self.stored(stored),
                () = tokio::time::sleep_until(self.gathered_by.into()), if !self.heard.is_empty() => {}
                () = until(&clock, self.next) => {}
            }
            while let Some(asked) = self.questions.try_join_next_with_id() {
                self.came_back(asked);
            }
            while let Some(stored) = self.stores.try_join_next_with_id() {
                self.stored(stored);
            }
            self.store_what_is_gathered();
        }
    }

    /// Something may have become due.
    fn expect_more(&mut self) {
        for integration in self.integrations.all() {
            self.hosts.entry(integration.gateway.origin().clone()).or_default().more = true;
        }
    }

    /// Asks about as much of what is due as courtesy allows.
    async fn ask_due(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        let moment = Instant::now();
        if self.trouble.resting(moment) {
            return Ok(());
        }
        let Self { asking, put_off, .. } = self;
        put_off.retain(|(subject, until)| *until > moment || !asking.remove(subject));
        for host in self.hosts.values_mut() {
            host.closed_until = host.closed_until.filter(|until| *until > moment);
        }
        self.ask_ahead();
        // One gateway's long list may hide what another is to be asked, so look until nobody is left to be asked more.
        while self.look_ahead(now).await? {
            self.ask_ahead();
        }
        Ok(())
    }

    /// Reads ahead what is due of those gateways that may be asked more. Whether there were any.
    async fn look_ahead(&mut self, now: Timestamp) -> Result<bool, LedgerError> {
        let mut names = Vec::new();
        let mut wanting = HashMap::new();
        for integration in self.integrations.all() {
            let origin = integration.gateway.origin();
            let Some(host) = self.hosts.get(origin) else { continue };
            let room = host.room(self.settings.concurrency);
            if integration.gateway.confirmable() && host.closed_until.is_none() && room > 0 && host.more {
                wanting.insert(origin.clone(), room + AHEAD * self.settings.concurrency);
                names.push(integration.name.as_str().to_owned());
            }
        }
        if names.is_empty() {
            return Ok(false);
        }
        // What is being asked about is still due in the ledger, so look behind it.
        let most = wanting.values().sum::<usize>() + self.asking.len();
        let (due, next) = self.asker.ledger.reader().due_questions(names, now, most).await?;
        self.next = next;
        let more = due.len() >= most;
        for origin in wanting.keys() {
            self.hosts.entry(origin.clone()).or_default().more = more;
        }
        for due in due {
            let Some(integration) = self.integrations.find(due.integration().as_str()) else { continue };
            if !self.asking.contains(&due.subject()) {
                self.hosts.entry(integration.gateway.origin().clone()).or_default().ahead.push_back(due);
            }
        }
        Ok(true)
    }

    /// Asks each gateway what was read ahead for it, as much as courtesy allows.
    fn ask_ahead(&mut self) {
        let Self { asker, integrations, settings, hosts, asking, open, questions, .. } = self;
        for (origin, host) in hosts {
            while host.closed_until.is_none() && host.room(settings.concurrency) > 0 {
                let Some(due) = host.ahead.pop_front() else { break };
                let subject = due.subject();
                // Somebody may have given the integration another gateway since: then this is still due, and read anew.
                let integration = integrations.find(due.integration().as_str());
                let Some(integration) = integration.filter(|known| known.gateway.origin() == origin) else { continue };
                asking.insert(subject);
                host.open += 1;
                let asker = asker.clone();
                let question = questions.spawn(async move { asker.ask(integration, due).await });
                open.insert(question.id(), (subject, origin.clone()));
            }
        }
    }

    /// A question has come back, or its task has failed and what it was about stays due.
    fn came_back(&mut self, asked: Result<(Id, Heard), JoinError>) {
        let (question, heard) = match asked {
            Ok((question, heard)) => (question, Ok(heard)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((subject, origin)) = self.open.remove(&question) else { return };
        let host = self.hosts.entry(origin.clone()).or_default();
        host.open = host.open.saturating_sub(1);
        match heard {
            Ok(heard) => {
                if let Some(patience) = heard.patience {
                    if host.closed_until.is_none() && !patience.is_zero() {
                        tracing::warn!(gateway = %origin, seconds = patience.as_secs(), "a gateway wants to be left alone");
                    }
                    host.close(patience);
                }
                host.unstored += 1;
                if self.heard.is_empty() {
                    self.gathered_by = Instant::now() + GATHER;
                }
                self.heard.push((subject, origin, heard));
            }
            Err(error) => {
                host.close(after_a_panic(&error));
                self.asking.remove(&subject);
            }
        }
    }

    /// Stores what has come back, all of it in one go, once there is enough of it, or nothing else is on its way, or it
    /// has waited for long enough.
    fn store_what_is_gathered(&mut self) {
        let enough = self.heard.len() >= together(self.settings.concurrency) || self.questions.is_empty();
        if !enough && Instant::now() < self.gathered_by {
            return;
        }
        for (subject, origin, heard) in self.heard.drain(..) {
            let asker = self.asker.clone();
            let store = self.stores.spawn(async move { asker.store(heard).await });
            self.open.insert(store.id(), (subject, origin));
        }
    }

    /// What a question brought is stored, or could not be and stays due.
    fn stored(&mut self, stored: Result<(Id, Result<(), LedgerError>), JoinError>) {
        let (store, stored) = match stored {
            Ok((store, stored)) => (store, Ok(stored)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((subject, origin)) = self.open.remove(&store) else { return };
        let host = self.hosts.entry(origin).or_default();
        host.unstored = host.unstored.saturating_sub(1);
        // It may have become due again meanwhile, and whoever heard the bell for that has passed it by.
        host.more = true;
        match stored {
            Ok(Ok(())) => self.trouble.over(),
            Ok(Err(error)) if error.blames_one() => {
                tracing::error!(%error, "what a poll brought could not be stored: a bug; it is left alone for a while");
                self.put_off.push((subject, Instant::now() + AFTER_A_BUG));
                return;
            }
            Ok(Err(error)) => {
                if self.trouble.failed(Instant::now()) {
                    tracing::warn!(%error, "what a poll brought could not be stored; it will be asked again");
                }
                self.hosts.values_mut().for_each(Host::forget);
            }
            Err(error) => host.close(after_a_panic(&error)),
        }
        self.asking.remove(&subject);
    }
}

/// How many answers are put on disk together where so many questions may be open at once.
fn together(concurrency: usize) -> usize {
    concurrency.max(TOGETHER)
}

/// Tells of a task that ended by a panic. Returns how long its gateway is left alone.
fn after_a_panic(error: &JoinError) -> Duration {
    tracing::error!(%error, "a poll ended by a panic: a bug; its gateway is left alone for a while");
    AFTER_A_BUG
}

/// Waits until `instant` by the wall clock, for ever if there is none; the heartbeat catches a clock that steps.
async fn until(clock: &Clock, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => tokio::time::sleep((instant - clock.now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_asked_no_more_than_politeness_and_the_ledger_can_take() {
        let room = |open, unstored| Host { open, unstored, ..Host::default() }.room(8);
        assert_eq!(room(0, 0), 8);
        assert_eq!(room(8, 0), 0, "as many are open as may be");
        assert_eq!(room(3, 40), 5, "answers that wait for the disk keep nobody from asking");
        assert_eq!(room(3, 59), 2, "until there are too many of them");
        assert_eq!(room(8, 40), 0);
        assert_eq!(room(0, 64), 0, "a ledger that stands still ends it");
        assert_eq!(Host { unstored: 128, ..Host::default() }.room(128), 128, "more may be open, and wait");
    }
}
