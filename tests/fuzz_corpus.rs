//! The corpora of the fuzz targets and the published vectors, tried with the properties that the targets search with:
//! what was found once is not lost again, on any machine and with any toolchain.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "../fuzz/properties/mod.rs"]
mod properties;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// How many files a corpus may have, and how large one may be, in bytes: seeds, not a heap.
const FEW: usize = 60;
const SMALL: usize = 10 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a directory, without their endings.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Tries every seed of `target` and everything of `vectors`, and names what breaks the property.
fn replay(target: &str, vectors: &[Vec<u8>]) {
    let (_, property) = properties::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let directory = fuzz().join("corpus").join(target);
    let mut tried: Vec<(String, Vec<u8>)> = names(&directory)
        .into_iter()
        .map(|seed| (format!("fuzz/corpus/{target}/{seed}"), fs::read(directory.join(&seed)).unwrap()))
        .collect();
    assert!((1..=FEW).contains(&tried.len()), "{} seeds for {target}", tried.len());
    let large = tried.iter().find(|(_, bytes)| bytes.len() > SMALL).map(|(seed, _)| seed);
    assert_eq!(large, None, "too large for a seed");
    tried.extend(vectors.iter().enumerate().map(|(at, bytes)| (format!("vector {at}"), bytes.clone())));
    let broken: Vec<String> = tried
        .into_iter()
        .filter(|(_, bytes)| catch_unwind(|| property(bytes)).is_err())
        .map(|(seed, _)| seed)
        .collect();
    assert_eq!(broken, [""; 0], "these break what must hold of {target}");
}

/// The `field` of every published vector.
fn vectors(json: &str, field: &str) -> Vec<Vec<u8>> {
    let all: Vec<Value> = serde_json::from_str(json).unwrap();
    assert!(!all.is_empty());
    all.iter().map(|vector| vector[field].as_str().unwrap().as_bytes().to_vec()).collect()
}

fn zimbabwe() -> Vec<Vec<u8>> {
    vectors(include_str!("vectors/zimbabwe.json"), "body")
}

#[test]
fn every_property_has_a_target_a_corpus_and_nothing_else_does() {
    let properties: BTreeSet<String> = properties::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), properties);
    assert_eq!(names(&fuzz().join("corpus")), properties);
}

#[test]
fn every_known_form_is_read_as_it_is_written() {
    replay("form", &zimbabwe());
}

#[test]
fn every_known_status_update_is_believed_only_as_it_was_signed() {
    replay("status_update", &zimbabwe());
}

#[test]
fn every_known_button_notification_is_believed_only_as_it_was_signed() {
    replay("button", &zimbabwe());
}

#[test]
fn every_known_answer_proves_its_own_payment_or_nothing() {
    replay("poll_reply", &zimbabwe());
}

#[test]
fn every_known_polish_message_is_believed_only_as_it_was_signed() {
    replay("poland", &vectors(include_str!("vectors/poland.json"), "payload"));
}

#[test]
fn every_known_poll_url_leads_to_its_gateway_or_nowhere() {
    replay("poll_url", &[]);
}

#[test]
fn every_known_configuration_holds_together_or_is_refused_with_reasons() {
    replay("config", &[include_bytes!("../daemon.toml").to_vec()]);
}
