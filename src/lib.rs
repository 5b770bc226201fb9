//! paynowd: know, for certain, what you have been paid through Paynow.
//!
//! # From above
//!
//! Paynow posts status updates to a shop and answers when it is asked. Posts get lost, come twice, come late, and their
//! hash says nothing of where one field ends and the next begins. So this daemon believes nothing it cannot prove,
//! keeps everything it was told, and asks the gateway before it says "paid":
//!
//! ```text
//!  bytes ─ protocol ─▶ Verified<Observation> ─ ledger ─▶ event + payment + next poll + outbox ─ mailer ─▶ letter
//!    ▲                                          (one transaction)  │
//!    │ receiver: they call us                                      └─▶ due polls
//!    └ reconciler: we call them ◀──────────────────────────────────────────┘
//! ```
//!
//! # The house
//!
//! A room imports only from lower floors; rooms on one floor do not see each other.
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 0 | [`domain`] | words and decisions: no I/O, no clock, no storage |
//! | 0 | [`meter`] | counters without locks |
//! | 1 | [`protocol`] | bytes ⇄ messages, with proof |
//! | 1 | [`books`] | files a merchant keeps ⇄ our words; no I/O of its own |
//! | 2 | [`ledger`] | the only SQL: one writer thread, group commit, `Ok` means on disk |
//! | 2 | [`http`] | HTTP without Paynow: bounded server, bounded client |
//! | 3 | [`receiver`] | they call us |
//! | 3 | [`reconciler`] | we call them |
//! | 3 | [`mailer`] | outbox → letter → mail server or directory |
//! | 3 | [`simulator`] | the gateways' twins; never sees the ledger |
//! | 4 | [`config`] | `daemon.toml` and the environment, checked |
//! | 5 | [`daemon`] | wiring, lifetime, signals, systemd, telemetry |
//! | 6 | [`cli`] | the front door; the only place that prints and exits |
//!
//! # One payment, from the socket to the letter
//!
//! 1. A customer pays INV-1042. Paynow posts a form to `/paynow/shop`. [`http::serve`] hands the request to
//!    [`receiver::Receiver::handle`], which finds the integration, reads the body within its bounds and gives the
//!    bytes to [`protocol::Gateway::read_post`].
//! 2. `protocol::zimbabwe` decodes the fields in their order, checks the hash under every accepted key in constant
//!    time, and holds each field to the grammar Paynow writes. What comes out is a
//!    [`Verified`](protocol::Verified)`<`[`Observation`](domain::Observation)`>`, which nobody else can make.
//! 3. [`ledger::Ledger::record`] queues it for the writer thread. There, inside one transaction,
//!    [`domain::Payment::decide`] says what it means: the payment opens as Paid, *reported*; the gateway is to be asked
//!    at once; if it cannot be brought to confirm within `announce_after`, a letter shall say so. Event (chained by
//!    digest), payment, poll and letter are committed together with whatever else was waiting, and only then does the
//!    receiver answer 200.
//! 4. The commit rang a bell. [`reconciler::Poller`] finds the poll due, asks the pinned poll URL, and
//!    [`protocol::Gateway::read_answer`] proves the answer. It enters by the same door, `Ledger::record`: the payment is
//!    *confirmed*, every field is the gateway's, the held letter is withdrawn and the real one written.
//! 5. [`mailer::Postman`] finds the letter due, composes it, hands it to the mail server over its own connection, and
//!    notes that it went.
//!
//! At night [`reconciler::reconcile`] asks about everything that can still change, reads one moment of the ledger
//! matter by matter, holds each against what the books expect and the bank paid out ([`domain::compare()`]), and
//! applies what follows in one write, the letter included.
//!
//! Killing the process between any two of these steps changes nothing in the outcome: each step begins by looking at
//! the ledger.
//!
//! # What always holds
//!
//! - A 2xx goes out after the fsync, never before. There is no code path from the public door to a 200 that does
//!   not pass [`ledger::Ledger::record`] or [`ledger::Ledger::refuse`].
//! - Only `protocol` makes a `Verified` value, and the ledger takes nothing else as a fact.
//! - Only `ledger` knows SQL; only its one thread writes. Nothing above it sees a connection.
//! - Only [`cli`] prints and exits. `domain` has no clock and no I/O.
//! - Events are never changed or deleted; the database itself refuses.
//! - No float holds money, no time lacks a zone, no key, poll URL, body or hash reaches a log, a letter or an error.
//! - A background pass takes nothing but the time, reads what is due from the ledger and does it, so what happens after
//!   a crash is what happens every second.

pub mod books;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod http;
pub mod ledger;
pub mod mailer;
pub mod meter;
pub mod protocol;
pub mod receiver;
pub mod reconciler;
pub mod simulator;
