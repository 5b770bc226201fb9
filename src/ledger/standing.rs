//! Where a payment stands: its status, and how far that may be relied on. The index `payment_by_standing` finds payments
//! by both, in the order of their numbers: all but those that are certainly paid, as nearly all are in the end.

use crate::domain::{Status, Trust};

/// How far a payment's status may be relied on, and the status.
pub(super) type Standing = (Trust, Status);

/// The index.
pub(super) const INDEX: &str = "payment_by_standing";

/// Everywhere a payment can stand.
pub(super) fn all() -> impl Iterator<Item = Standing> {
    Trust::ALL.into_iter().flat_map(|trust| Status::ALL.map(|status| (trust, status)))
}

/// Whether payments that stand there are in the index.
pub(super) fn is_indexed(standing: Standing) -> bool {
    standing != (Trust::Confirmed, Status::Paid)
}

/// Whether payments that stand there may still change, or nobody but a post vouches for them.
pub(super) fn is_open((trust, status): Standing) -> bool {
    trust == Trust::Reported || !status.is_final()
}

/// The condition that a payment stands there, as the index wants it.
pub(super) fn condition((trust, status): Standing) -> String {
    let (trust, status) = (trust.code(), status.code());
    format!("trust = '{trust}' AND status = '{status}' AND (trust <> 'confirmed' OR status <> 'paid')")
}

/// Selects `columns` of the payments that stand at one of `standings`, and of their integrations, as far as `narrowed`
/// goes.
pub(super) fn select(columns: &str, standings: impl Iterator<Item = Standing>, narrowed: &str) -> String {
    let parts: Vec<String> = standings
        .map(|standing| {
            format!(
                "SELECT {columns} FROM payment INDEXED BY {INDEX} \
                 CROSS JOIN integration ON integration.id = integration_id WHERE {} AND {narrowed}",
                condition(standing)
            )
        })
        .collect();
    parts.join(" UNION ALL ")
}
