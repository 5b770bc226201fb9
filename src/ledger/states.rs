//! The states that payments can be in: a status, and how far it may be relied on. The index `payment_by_state` finds
//! payments by both, in the order of their numbers: all but those that are certainly paid, as nearly all are in the
//! end.

use crate::domain::{Status, Trust};

/// How far a payment's status may be relied on, and the status.
pub(super) type State = (Trust, Status);

/// Every state.
pub(super) fn all() -> impl Iterator<Item = State> {
    Trust::ALL.into_iter().flat_map(|trust| Status::ALL.map(|status| (trust, status)))
}

/// Whether payments in it are in the index.
pub(super) fn is_indexed(state: State) -> bool {
    state != (Trust::Confirmed, Status::Paid)
}

/// Whether payments in it may still change, or nobody but a post vouches for them.
pub(super) fn is_open((trust, status): State) -> bool {
    trust == Trust::Reported || !status.is_final()
}

/// Selects `columns` of the payments in `states` for which `such` is true, and of their integrations. A part for each
/// state, in the order of the payments' numbers.
pub(super) fn select(columns: &str, states: impl Iterator<Item = State>, such: &str) -> String {
    let parts: Vec<String> = states
        .map(|(trust, status)| {
            format!(
                "SELECT {columns} FROM payment INDEXED BY payment_by_state \
                 CROSS JOIN integration ON integration.id = integration_id \
                 WHERE trust = '{}' AND status = '{}' AND (trust <> 'confirmed' OR status <> 'paid') AND {such}",
                trust.code(),
                status.code()
            )
        })
        .collect();
    parts.join(" UNION ALL ")
}

/// Such statuses, as what stands behind `status IN` says them.
pub(super) fn statuses(such: impl Fn(Status) -> bool) -> String {
    let such = Status::ALL.into_iter().filter(|status| such(*status));
    let codes: Vec<String> = such.map(|status| format!("'{}'", status.code())).collect();
    format!("({})", codes.join(", "))
}

/// The condition that a payment is in one of `states`, for who goes another way than by the index.
pub(super) fn among(states: impl Iterator<Item = State>) -> String {
    let states: Vec<String> =
        states.map(|(trust, status)| format!("('{}', '{}')", trust.code(), status.code())).collect();
    format!("(trust, status) IN (VALUES {})", states.join(", "))
}
