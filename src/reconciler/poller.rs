//! Whom to ask, and when: takes what is due from the ledger and asks each gateway politely.

use std::collections::{HashMap, HashSet, VecDeque};
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

/// What we owe one gateway in courtesy, and what it is asked next.
#[derive(Default)]
struct Host {
    open: usize,
    closed_until: Option<Instant>,
    /// Read from the ledger already, the longest due first: so that not every answer costs another look at it.
    ahead: VecDeque<Due>,
    /// Whether the ledger may have more that is due than what was read.
    more: bool,
}

impl Host {
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
            open: HashMap::new(),
            questions: JoinSet::new(),
            trouble: Trouble::default(),
        }
    }

    /// Asks whatever is due, whenever it is, until `shutdown`; questions that are open then are asked again next time.
    pub async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let (bell, clock) = (self.asker.ledger.polls_due(), self.asker.clock.clone());
        let mut next = None;
        self.expect_more();
        loop {
            match self.ask_due(clock.now()).await {
                Ok(Some(seen)) => next = seen,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot see which polls are due; looking again shortly");
                    next = None;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = bell.notified() => self.expect_more(),
                heard = beat.changed() => if heard.is_err() { return } else { self.expect_more() },
                Some(asked) = self.questions.join_next_with_id() => self.came_back(asked),
                () = until(&clock, next) => {
                    next = None;
                    self.expect_more();
                }
            }
            while let Some(asked) = self.questions.try_join_next_with_id() {
                self.came_back(asked);
            }
        }
    }

    /// Something may have become due.
    fn expect_more(&mut self) {
        for integration in self.integrations.all() {
            self.hosts.entry(integration.gateway.origin().clone()).or_default().more = true;
        }
    }

    /// Asks about as much of what is due as courtesy allows. Returns when the next becomes due, if it had to look.
    async fn ask_due(&mut self, now: Timestamp) -> Result<Option<Option<Timestamp>>, LedgerError> {
        let moment = Instant::now();
        if self.trouble.resting(moment) {
            return Ok(None);
        }
        for host in self.hosts.values_mut() {
            host.closed_until = host.closed_until.filter(|until| *until > moment);
        }
        self.ask_ahead();
        let mut names = Vec::new();
        let mut wanting = HashMap::new();
        for integration in self.integrations.all() {
            let origin = integration.gateway.origin();
            let Some(host) = self.hosts.get(origin) else { continue };
            let room = self.settings.concurrency.saturating_sub(host.open);
            if integration.gateway.confirmable() && host.closed_until.is_none() && room > 0 && host.more {
                // As much again as may be open at once is read ahead.
                wanting.insert(origin.clone(), room + self.settings.concurrency);
                names.push(integration.name.as_str().to_owned());
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        // What is being asked about is still due in the ledger, so look behind it.
        let most = wanting.values().sum::<usize>() + self.asking.len();
        let (due, next) = self.asker.ledger.reader().due_questions(names, now, most).await?;
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
        self.ask_ahead();
        Ok(Some(next))
    }

    /// Asks each gateway what was read ahead for it, as much as courtesy allows.
    fn ask_ahead(&mut self) {
        let Self { asker, integrations, settings, hosts, asking, open, questions, .. } = self;
        for (origin, host) in hosts {
            while host.closed_until.is_none() && host.open < settings.concurrency {
                let Some(due) = host.ahead.pop_front() else { break };
                let subject = due.subject();
                // Somebody may have given the integration another gateway since: then this is still due, and read anew.
                let integration = integrations.find(due.integration().as_str());
                let Some(integration) = integration.filter(|known| known.gateway.origin() == origin) else { continue };
                asking.insert(subject);
                host.open += 1;
                let asker = asker.clone();
                let question = questions.spawn(async move { asker.ask(&integration, due).await });
                open.insert(question.id(), (subject, origin.clone()));
            }
        }
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
                self.hosts.values_mut().for_each(Host::forget);
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
            host.forget();
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
