//! Keys on their way out: tells the ledger which they are, notes about once a minute what they still prove, and says so
//! in the log once an hour. What proves costs nothing but a counter meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::IntegrationName;
use crate::ledger::{KeyFiles, KeyUses, Ledger, LedgerError, OldKey, Reader};

/// How long nothing more is noted after something was, or could not be.
const PAUSE: Duration = Duration::from_mins(1);

/// How long one line of the log has to do for a key.
const QUIET: Duration = Duration::from_hours(1);

/// The key files of every integration.
pub(super) fn named(config: &Config) -> Vec<KeyFiles> {
    let files = |files: &[crate::config::KeyFile]| files.iter().map(|file| file.name.clone()).collect();
    config.integrations.iter().map(|integration| (integration.name.clone(), files(&integration.key_files))).collect()
}

/// The old keys that nobody has needed for so long that they can go, and the name of the setting for each.
///
/// # Errors
/// There is a ledger, and it cannot be read.
pub fn idle_keys(config: &Config) -> Result<Vec<OldKey>, LedgerError> {
    let now = Utc::now();
    let idle = |key: &OldKey| {
        let integration = config.integrations.iter().find(|integration| integration.name == key.integration);
        let mut files = integration.into_iter().flat_map(|integration| integration.key_files.iter().skip(1));
        files.find(|file| file.name == key.file).is_some_and(|file| key.is_idle(file.changed, now))
    };
    match Reader::open(&config.ledger.path) {
        Err(LedgerError::Missing) => Ok(Vec::new()),
        reader => Ok(reader?.old_keys()?.into_iter().filter(idle).collect()),
    }
}

/// Which key.
type Place = (IntegrationName, usize);

/// Who watches them.
pub(super) struct OldKeys {
    ledger: Arc<Ledger>,
    files: watch::Receiver<Vec<KeyFiles>>,
    /// Whether the ledger knows the files as they were named last.
    known: bool,
    /// How much of what was counted is in the ledger.
    noted: HashMap<Place, u64>,
    /// When the log last spoke of a key, and how much had been counted then.
    said: HashMap<Place, (Instant, u64)>,
    rest_until: Option<Instant>,
}

impl OldKeys {
    /// Watches those that `files` name.
    pub(super) fn new(ledger: Arc<Ledger>, files: watch::Receiver<Vec<KeyFiles>>) -> Self {
        Self { ledger, files, known: false, noted: HashMap::new(), said: HashMap::new(), rest_until: None }
    }

    /// Looks on every beat until `shutdown`, and once more then.
    pub(super) async fn run(mut self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        loop {
            let now = Instant::now();
            let renamed = self.files.has_changed().unwrap_or(false);
            if (renamed || self.rest_until.is_none_or(|until| until <= now))
                && let Err(error) = self.look(now).await
            {
                tracing::warn!(%error, "what old keys prove could not be noted; trying again in a minute");
                self.rest_until = Some(now + PAUSE);
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                heard = beat.changed() => if heard.is_err() { break },
            }
        }
        if let Err(error) = self.look(Instant::now()).await {
            tracing::warn!(%error, "what old keys proved last could not be noted");
        }
    }

    /// Notes what is new.
    async fn look(&mut self, now: Instant) -> Result<(), LedgerError> {
        // What was counted before the files changed belongs to the places they had.
        if self.known {
            self.note(now).await?;
        }
        if !self.known || self.files.has_changed().unwrap_or(false) {
            let files = self.files.borrow_and_update().clone();
            self.known = false;
            self.ledger.name_keys(files, Utc::now()).await?;
            self.known = true;
        }
        Ok(())
    }

    async fn note(&mut self, now: Instant) -> Result<(), LedgerError> {
        let news = self.news();
        if news.is_empty() {
            return Ok(());
        }
        self.rest_until = Some(now + PAUSE);
        self.ledger.note_old_keys(news.clone(), Utc::now()).await?;
        for (integration, key, times) in news {
            let place = (integration, key);
            let noted = self.noted.entry(place.clone()).or_default();
            *noted += times;
            let counted = *noted;
            self.speak(place, counted, now);
        }
        Ok(())
    }

    /// What has been counted and is not in the ledger.
    fn news(&self) -> Vec<KeyUses> {
        let mut news = Vec::new();
        for (integration, keys) in self.ledger.counts().old_keys.each() {
            for (key, count) in keys.each() {
                let noted = self.noted.get(&(integration.clone(), *key)).copied().unwrap_or(0);
                let times = count.get() - noted;
                if times > 0 {
                    news.push((integration.clone(), *key, times));
                }
            }
        }
        news
    }

    fn speak(&mut self, place: Place, counted: u64, now: Instant) {
        let (spoken, before) = match self.said.get(&place) {
            Some((at, before)) => (Some(*at), *before),
            None => (None, 0),
        };
        if spoken.is_some_and(|at| now.saturating_duration_since(at) < QUIET) {
            return;
        }
        let files = self.files.borrow();
        let files = files.iter().find(|(integration, _)| *integration == place.0).map(|(_, files)| files);
        let file = files.and_then(|files| files.get(place.1.checked_sub(1)?));
        let messages = counted - before;
        tracing::info!(integration = %place.0, key = place.1, file, messages, "an old key still proves messages");
        self.said.insert(place, (now, counted));
    }
}
