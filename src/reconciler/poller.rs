//! Whom to ask, and when: takes what is due from the ledger and asks each gateway politely.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Clock;
use super::asking::Asker;
use super::trouble::Trouble;
use crate::domain::{Origin, Timestamp};
use crate::http::Client;
use crate::ledger::{Due, Ledger, LedgerError, Subject};
use crate::protocol::Integrations;

/// How long a gateway is left alone after a poll of ours ended by a bug.
const AFTER_A_BUG: Duration = Duration::from_mins(1);

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
    /// What is being asked about.
    asking: HashSet<Subject>,
    /// What each open question is about, and which gateway has it.
    open: HashMap<Id, (Subject, Origin)>,
    /// Open questions; each returns how long its gateway wants to be left alone, if what it brought could be stored.
    questions: JoinSet<Result<Option<Duration>, LedgerError>>,
    /// Whether that fails just now.
    trouble: Trouble,
}

/// What we owe one gateway in courtesy.
#[derive(Default)]
struct Host {
    open: usize,
    closed_until: Option<Instant>,
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
            open: HashMap::new(),
            questions: JoinSet::new(),
            trouble: Trouble::default(),
        }
    }

    /// Asks whatever is due, whenever it is, until `shutdown`; questions that are open then are asked again next time.
    pub async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let (bell, clock) = (self.asker.ledger.polls_due(), self.asker.clock.clone());
        loop {
            let next = match self.ask_due(clock.now()).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "cannot see which polls are due; looking again shortly");
                    None
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = bell.notified() => {}
                heard = beat.changed() => if heard.is_err() { return },
                Some(asked) = self.questions.join_next_with_id() => self.came_back(asked),
                () = until(&clock, next) => {}
            }
            while let Some(asked) = self.questions.try_join_next_with_id() {
                self.came_back(asked);
            }
        }
    }

    /// Asks about as much of what is due as courtesy allows. Returns when the next becomes due.
    async fn ask_due(&mut self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let moment = Instant::now();
        if self.trouble.resting(moment) {
            return Ok(None);
        }
        let mut free = 0;
        let mut names = Vec::new();
        for integration in self.integrations.all() {
            let host = self.hosts.entry(integration.gateway.origin().clone()).or_default();
            host.closed_until = host.closed_until.filter(|until| *until > moment);
            let room = self.settings.concurrency.saturating_sub(host.open);
            if integration.gateway.confirmable() && host.closed_until.is_none() && room > 0 {
                free += room;
                names.push(integration.name.as_str().to_owned());
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        // What is being asked about is still due in the ledger, so look behind it.
        let (due, next) = self.asker.ledger.reader().due_questions(names, now, free + self.asking.len()).await?;
        for due in due {
            self.ask(due);
        }
        Ok(next)
    }

    /// Asks about one thing in a task of its own, unless that is happening or the gateway has enough to do.
    fn ask(&mut self, due: Due) {
        let Some(integration) = self.integrations.find(due.integration().as_str()) else { return };
        let (origin, subject) = (integration.gateway.origin().clone(), due.subject());
        let host = self.hosts.entry(origin.clone()).or_default();
        if host.open >= self.settings.concurrency || !self.asking.insert(subject) {
            return;
        }
        host.open += 1;
        let asker = self.asker.clone();
        let question = self.questions.spawn(async move { asker.ask(&integration, due).await });
        self.open.insert(question.id(), (subject, origin));
    }

    /// A question has come back, or its task has failed and what it was about stays due.
    fn came_back(&mut self, asked: Result<(Id, Result<Option<Duration>, LedgerError>), JoinError>) {
        let (question, patience) = match asked {
            Ok((question, Ok(patience))) => {
                self.trouble.over();
                (question, patience)
            }
            Ok((question, Err(error))) => {
                tracing::warn!(%error, "what a poll brought could not be stored; it will be asked again");
                self.trouble.failed(Instant::now());
                (question, None)
            }
            Err(error) => {
                tracing::error!(%error, "a poll ended by a panic: a bug; its gateway is left alone for a while");
                (error.id(), Some(AFTER_A_BUG))
            }
        };
        let Some((subject, origin)) = self.open.remove(&question) else { return };
        self.asking.remove(&subject);
        let host = self.hosts.entry(origin).or_default();
        host.open = host.open.saturating_sub(1);
        if let Some(patience) = patience {
            host.closed_until = Some(Instant::now() + patience);
        }
    }
}

/// Waits until `instant` by the wall clock, for ever if there is none; the heartbeat catches a clock that steps.
async fn until(clock: &Clock, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => tokio::time::sleep((instant - clock.now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
