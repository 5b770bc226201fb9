//! Floor 1: files a merchant keeps ⇄ our words. No I/O of its own: readers and writers are handed in.

mod cell;
mod civil;
mod export;
mod order;
mod orders;
mod settlement_map;
mod settlements;
mod sheet;
mod tables;

pub use cell::cell;
pub use export::{Export, Format, LeftOut};
pub use order::{Account, Fault, Order, OrderDesk, PinPollUrl};
pub use orders::Orders;
pub use settlement_map::{EXAMPLE as SETTLEMENT_MAP, SettlementMap};
pub use settlements::Settlements;
pub use sheet::{BadRow, BadSheet, NoRow};
pub use tables::{Discrepancies, DiscrepancyRow, Keys, Transactions, transaction_id};
