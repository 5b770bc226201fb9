//! Floor 1: files a merchant keeps ⇄ our words. No I/O of its own: readers and writers are handed in.

mod cell;
mod tables;

pub use cell::cell;
pub use tables::{Discrepancies, DiscrepancyRow, Keys, Transactions, transaction_id};
