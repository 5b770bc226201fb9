//! Asking: takes what is due from the ledger, asks each gateway politely, and records what it proves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Clock;
use super::trouble::Trouble;
use crate::domain::{Origin, Outcome, Timestamp};
use crate::http::{Client, Method, Reply, Request, SendError};
use crate::ledger::{Admission, DuePoll, Ledger, LedgerError, Unanswered};
use crate::protocol::{self, Answer, Integration, Integrations, Question};

/// How long a gateway is left alone after a poll of ours ended by a bug.
const AFTER_A_BUG: Duration = Duration::from_mins(1);

/// How politely gateways are asked.
#[derive(Clone, Copy, Debug)]
pub struct PollerSettings {
    /// How many questions may be open at one gateway at once.
    pub concurrency: usize,
}

/// Asks gateways about payments that are due.
pub struct Poller {
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    client: Client,
    settings: PollerSettings,
    clock: Clock,
    hosts: HashMap<Origin, Host>,
    /// Payments being asked about.
    asking: HashSet<i64>,
    /// Which payment and gateway each open question is about.
    open: HashMap<Id, (i64, Origin)>,
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
    /// Asks about the payments of `ledger` through `client`, by what `clock` shows.
    pub fn new(
        ledger: Arc<Ledger>,
        integrations: Arc<Integrations>,
        client: Client,
        settings: PollerSettings,
        clock: Clock,
    ) -> Self {
        Self {
            ledger,
            integrations,
            client,
            settings,
            clock,
            hosts: HashMap::new(),
            asking: HashSet::new(),
            open: HashMap::new(),
            questions: JoinSet::new(),
            trouble: Trouble::default(),
        }
    }

    /// Asks whatever is due, whenever it is, until `shutdown`; questions that are open then are asked again next time.
    pub async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let bell = self.ledger.polls_due();
        loop {
            let next = match self.ask_due(self.clock.now()).await {
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
                () = until(&self.clock, next) => {}
            }
            while let Some(asked) = self.questions.try_join_next_with_id() {
                self.came_back(asked);
            }
        }
    }

    /// Asks about as much of what is due as courtesy allows. Returns when the next payment becomes due.
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
        let (due, next) = self.ledger.reader().due_polls(names, now, free + self.asking.len()).await?;
        for poll in due {
            self.ask(poll);
        }
        Ok(next)
    }

    /// Asks about one payment in a task of its own, unless that is happening or the gateway has enough to do.
    fn ask(&mut self, poll: DuePoll) {
        let Some(integration) = self.integrations.find(poll.payment.integration.as_str()) else { return };
        let origin = integration.gateway.origin().clone();
        let host = self.hosts.entry(origin.clone()).or_default();
        if host.open >= self.settings.concurrency || !self.asking.insert(poll.id) {
            return;
        }
        host.open += 1;
        let (ledger, client, payment) = (Arc::clone(&self.ledger), self.client.clone(), poll.id);
        let clock = self.clock.clone();
        let question = self.questions.spawn(async move { ask_one(&ledger, &client, &clock, &integration, poll).await });
        self.open.insert(question.id(), (payment, origin));
    }

    /// A question has come back, or its task has failed and the payment stays due.
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
        let Some((payment, origin)) = self.open.remove(&question) else { return };
        self.asking.remove(&payment);
        let host = self.hosts.entry(origin).or_default();
        host.open = host.open.saturating_sub(1);
        if let Some(patience) = patience {
            host.closed_until = Some(Instant::now() + patience);
        }
    }
}

/// Asks about one payment and stores what that proves. Returns how long the gateway wants to be left alone.
async fn ask_one(
    ledger: &Ledger,
    client: &Client,
    clock: &Clock,
    integration: &Integration,
    poll: DuePoll,
) -> Result<Option<Duration>, LedgerError> {
    let (payment, asked) = (&poll.payment, clock.now());
    let (seen, retry_after, patience) = match put(client, integration, payment).await {
        Err((code, detail)) => (Err((code, detail, None)), None, None),
        Ok(reply) => {
            let answer = Answer { status: reply.status, body: &reply.body, asked };
            let seen = integration
                .gateway
                .read_answer(payment, &answer, clock.now())
                .map_err(|unproven| (unproven.code(), unproven.to_string(), unproven.finding()));
            let asks_for_patience = matches!(reply.status, 429 | 503);
            (seen, reply.retry_after, reply.retry_after.filter(|_| asks_for_patience))
        }
    };
    let terms = Arc::clone(&integration.terms);
    match seen {
        Ok(seen) => {
            let recorded = ledger.record(seen, None, terms, Admission::Wait).await?;
            if recorded.outcome != Outcome::Agreed {
                tracing::info!(
                    integration = %integration.name,
                    payment.reference = payment.facts.reference.as_ref().map(tracing::field::display),
                    payment.status = recorded.status.code(),
                    channel = "poll",
                    outcome = recorded.outcome.code(),
                    "poll recorded"
                );
            }
        }
        Err((code, detail, finding)) => {
            tracing::debug!(
                integration = %integration.name,
                payment.reference = payment.facts.reference.as_ref().map(tracing::field::display),
                code,
                detail,
                "poll proved nothing"
            );
            let explanation = finding.as_ref().map(|finding| (finding.found.clone(), finding.class.next_step()));
            let unanswered = Unanswered {
                integration: integration.name.clone(),
                key: payment.key.clone(),
                at: clock.now(),
                code,
                detail,
                finding,
                retry_after,
            };
            let news = ledger.unanswered(unanswered, terms).await?;
            if let (true, Some((trouble, next_step))) = (news, explanation) {
                tracing::warn!(integration = %integration.name, code, trouble, next_step, "a poll needs a person");
            }
        }
    }
    Ok(patience)
}

/// Puts the gateway's question over HTTP.
async fn put(
    client: &Client,
    integration: &Integration,
    payment: &crate::domain::Payment,
) -> Result<Reply, (&'static str, String)> {
    let question = integration
        .gateway
        .question(payment, Uuid::new_v4())
        .ok_or(("no-question", "there is no way to ask about it".to_owned()))?;
    let request = request(question).ok_or(("no-question", "the question does not fit into HTTP".to_owned()))?;
    client.send(request).await.map_err(|error| (code(&error), error.to_string()))
}

fn request(question: Question) -> Option<Request> {
    let header = |(name, value): (&'static str, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    let headers = question.headers.into_iter().map(header).collect::<Option<_>>()?;
    Some(Request {
        method: match question.method {
            protocol::Method::Get => Method::Get,
            protocol::Method::Post => Method::Post,
        },
        uri: question.url.parse().ok()?,
        headers,
        body: question.body.into(),
    })
}

/// The stable code of a question that did not get through.
const fn code(error: &SendError) -> &'static str {
    match error {
        SendError::Refused(_) => "refused-address",
        SendError::Unreachable(_) => "unreachable",
        SendError::Certificate(_) => "certificate",
        SendError::Tls(_) => "tls",
        SendError::TimedOut(_) => "timed-out",
        SendError::TooLarge(_) => "too-large",
        SendError::Broken(_) => "broken",
    }
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
    fn what_a_question_carries_is_not_printed() {
        let question = Question {
            method: protocol::Method::Get,
            url: "https://api.paynow.pl/v3/payments/NOLV-8F9-08K-WGD/status".into(),
            headers: vec![("api-key", "hunter2".into())],
            body: Vec::new(),
        };
        assert!(!format!("{question:?}").contains("hunter2"));
        let headers = request(question).unwrap().headers;
        assert_eq!(headers[0].1.as_bytes(), b"hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
    }
}
