//! One configured account: who speaks, how they are understood, and on what terms.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Gateway;
use crate::domain::{IntegrationName, Terms};

/// One configured Paynow account or button template, ready to be spoken with.
#[derive(Debug)]
pub struct Integration {
    /// Its name in the configuration, in its URL and in the ledger.
    pub name: IntegrationName,
    /// Reads what it posts and asks what we want to know.
    pub gateway: Arc<dyn Gateway>,
    /// What the merchant decided for it.
    pub terms: Arc<Terms>,
}

/// Every configured integration. A reload replaces them all at once; whoever holds one keeps it to the end of their
/// work.
#[derive(Debug)]
pub struct Integrations(RwLock<Arc<HashMap<String, Arc<Integration>>>>);

impl Integrations {
    /// These integrations; the last of a name wins, the configuration allows only one.
    pub fn new(all: impl IntoIterator<Item = Integration>) -> Self {
        Self(RwLock::new(Arc::new(by_name(all))))
    }

    /// From now on, these.
    pub fn replace(&self, all: impl IntoIterator<Item = Integration>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_name(all));
    }

    /// The integration of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Integration>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, in no particular order.
    pub fn all(&self) -> Vec<Arc<Integration>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

fn by_name(all: impl IntoIterator<Item = Integration>) -> HashMap<String, Arc<Integration>> {
    all.into_iter().map(|integration| (integration.name.as_str().to_owned(), Arc::new(integration))).collect()
}
