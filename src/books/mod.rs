//! Floor 1: files a merchant keeps ⇄ our words. No I/O of its own: readers and writers are handed in.

mod cell;
mod civil;
mod order;
mod orders;
mod sheet;
mod tables;

pub use cell::cell;
pub use civil::day_begins;
pub use order::{Account, Fault, Order, OrderDesk, PinPollUrl};
pub use orders::Orders;
pub use sheet::{BadRow, BadSheet, NoRow};
pub use tables::{Discrepancies, DiscrepancyRow, Keys, Transactions, transaction_id};
