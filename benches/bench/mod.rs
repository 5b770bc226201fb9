//! What the benches share: the built daemon on a ledger of its own, processes to compare it with, a lean load
//! generator, and numbers without fractions.

#![allow(dead_code, unreachable_pub, reason = "each bench uses its part of this")]

pub mod child;
pub mod fastcgi;
pub mod gateway;
pub mod house;
pub mod least;
pub mod letterbox;
pub mod load;
pub mod machine;
pub mod message;
pub mod numbers;
pub mod shop;

/// The number that follows `--name` on the command line, or `default`.
pub fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args().skip_while(|word| word.strip_prefix("--") != Some(name));
    words.nth(1).map_or(default, |value| value.replace('_', "").parse().expect("a number"))
}

/// Whether `--name` is on the command line.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|word| word.strip_prefix("--") == Some(name))
}
