//! What the books must know of the configured integrations to read orders for them.

use std::sync::Arc;

use chrono_tz::Tz;

use super::wiring;
use crate::books::{Account, OrderDesk};
use crate::config::Config;
use crate::domain::MerchantTrace;
use crate::protocol::Integration;

/// Reads orders for everything in the configuration: for commands.
pub fn order_desk(config: &Config) -> OrderDesk {
    desk(wiring::integrations(config).map(Arc::new), config.reconcile.timezone)
}

/// Reads orders for these integrations.
pub(super) fn desk(integrations: impl IntoIterator<Item = Arc<Integration>>, zone: Tz) -> OrderDesk {
    let account = |integration: Arc<Integration>| Account {
        name: integration.name.clone(),
        mode: integration.terms.mode,
        names_orders: integration.gateway.names_orders(),
        traces: MerchantTrace::parse("any").is_ok_and(|trace| integration.gateway.trace(&trace).is_some()),
        poll_url: Arc::new(move |text| integration.gateway.poll_url(text)),
    };
    OrderDesk::new(integrations.into_iter().map(account), zone)
}
