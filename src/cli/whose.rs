//! Integrations on the command line, by which lists are narrowed.

use clap::Args;

use super::output;
use crate::domain::IntegrationName;
use crate::ledger::{LedgerError, Reader};

/// An integration to narrow a list to.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// Only of this integration.
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
}

impl Whose {
    /// Its name. Says so if the ledger has never heard of it: that nothing is found then is no answer.
    pub(super) fn name(&self, reader: &Reader) -> Result<Option<String>, LedgerError> {
        if let Some(name) = &self.integration {
            let known = reader.integrations()?;
            if !known.iter().any(|known| known.as_str() == name) {
                let known: Vec<_> = known.iter().map(IntegrationName::as_str).collect();
                output::complain(&format!(
                    "--integration {name:?}: the ledger has never heard of it; it knows {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                ));
            }
        }
        Ok(self.integration.clone())
    }
}
