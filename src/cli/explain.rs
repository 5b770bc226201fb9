//! `paynowd explain`: why a message's proof does not hold, or that it does. Records nothing, changes nothing, and shows
//! no key and no more of a digest than its beginning.

use std::io::Read as _;
use std::path::Path;

use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};

use super::exit::Exit;
use super::{Ended, Place, output};
use crate::config::{Config, IntegrationConfig};
use crate::domain::IntegrationName;
use crate::ledger::Reader;
use crate::mailer::shown;
use crate::protocol::doctor::{self, Diagnosis, Fit, Prefix, Specimen, Verdict};
use crate::protocol::{Gateway, Post};
use crate::receiver::would_answer;

/// The largest message that is looked at.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The message: its number in `quarantine list`, a file with its body, or - for standard input.
    #[arg(value_name = "FILE|-|QUARANTINE-ID", default_value = "-")]
    message: String,
    /// For whom the message was meant. Its proof has to hold there; the other integrations' keys are tried, too.
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
    /// How another digest of this message begins: from Paynow's "Hash should start with …", or from your own code.
    #[arg(long, value_name = "XXXXXX", value_parser = prefix)]
    expected_prefix: Option<Prefix>,
    /// The Signature header that came with the body, for protocols that have one.
    #[arg(long, value_name = "TEXT")]
    signature: Vec<String>,
    /// Sign instead: take fields (name=value, one a line, or a form) and print them with the hash they need.
    #[arg(long, requires = "integration", conflicts_with_all = ["expected_prefix", "signature", "json"])]
    sign: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// A message, and what came with it.
struct Message {
    body: Vec<u8>,
    signatures: Vec<String>,
    integration: Option<String>,
    /// It waits in quarantine.
    is_kept: bool,
}

pub(super) fn run(place: &Place, wanted: &Arguments) -> Ended {
    let (config, _) = place.config()?;
    let message = fetch(&config, wanted)?;
    let meant = match message.integration.as_deref().map(|name| named(&config, name)) {
        None => None,
        Some(Some(integration)) => Some(integration),
        Some(None) => {
            let name = message.integration.as_deref().unwrap_or_default();
            output::complain(&format!("no integration is called {name:?} in {}", config.file.display()));
            // A message that waits for an integration which is gone can still be explained.
            if wanted.integration.is_some() {
                return Err(Exit::Usage);
            }
            None
        }
    };
    Ok(match meant {
        Some(integration) if wanted.sign => sign(integration, &message.body),
        _ => explain(&config, meant, wanted, &message),
    })
}

fn named<'a>(config: &'a Config, name: &str) -> Option<&'a IntegrationConfig> {
    config.integrations.iter().find(|integration| integration.name.as_str() == name)
}

/// The message, from wherever it is.
fn fetch(config: &Config, wanted: &Arguments) -> Result<Message, Exit> {
    let unavailable = |trouble: String| {
        output::complain(&trouble);
        Exit::Unavailable
    };
    let integration = wanted.integration.clone();
    // What waits in quarantine is nobody's own message, and is not signed.
    if let Some(id) = wanted.message.parse::<i64>().ok().filter(|_| !wanted.sign) {
        let found = Reader::open(&config.ledger.path).and_then(|reader| reader.quarantined(id));
        let Some((post, body)) = found.map_err(|error| unavailable(error.to_string()))? else {
            output::complain(&format!(
                "nothing in quarantine has the number {id}; for a file of that name write ./{id}"
            ));
            return Err(Exit::No);
        };
        let signatures = if wanted.signature.is_empty() { post.signatures } else { wanted.signature.clone() };
        let integration = integration.or_else(|| Some(post.integration.to_string()));
        return Ok(Message { body, signatures, integration, is_kept: true });
    }
    let mut body = Vec::new();
    let read = match wanted.message.as_str() {
        "-" => std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut body),
        file => std::fs::File::open(Path::new(file)).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut body)),
    };
    match read {
        Err(error) => Err(unavailable(format!("{}: {error}", wanted.message))),
        Ok(length) if length as u64 > LARGEST => Err(unavailable(format!("{}: larger than 1MiB", wanted.message))),
        Ok(_) => Ok(Message { body, signatures: wanted.signature.clone(), integration, is_kept: false }),
    }
}

fn sign(integration: &IntegrationConfig, text: &[u8]) -> Exit {
    match integration.gateway.sign(text) {
        Ok(signed) => {
            output::line(signed);
            Exit::Done
        }
        Err(error) => {
            output::complain(&error);
            Exit::Usage
        }
    }
}

fn explain(config: &Config, meant: Option<&IntegrationConfig>, wanted: &Arguments, message: &Message) -> Exit {
    let signatures: Vec<&[u8]> = message.signatures.iter().map(String::as_bytes).collect();
    let post = Post { body: &message.body, signatures: &signatures };
    let specimen = Specimen { post, expected: wanted.expected_prefix.as_ref() };
    let gateways: Vec<(&IntegrationName, &dyn Gateway)> =
        config.integrations.iter().map(|integration| (&integration.name, integration.gateway.as_ref())).collect();
    let at = Utc::now();
    let found = doctor::diagnose(&gateways, meant.map(|integration| &integration.name), &specimen, at);
    // What the daemon would answer is said of the door the message was meant for, or would be let in by.
    let door = match (&found.verdict, meant) {
        (_, Some(meant)) => Some(meant),
        (Verdict::Holds { integration, .. }, None) => named(config, integration.as_str()),
        (_, None) => config.integrations.first().filter(|_| config.integrations.len() == 1),
    };
    let answer = door.map(|door| (&door.name, would_answer(&door.gateway.read_post(&post, at))));
    if wanted.json {
        output::line(of_diagnosis(&found, answer));
    } else {
        for line in in_words(&found, wanted.expected_prefix.as_ref(), message.is_kept, answer) {
            output::line(shown(&line));
        }
    }
    let is_right = match &found.verdict {
        Verdict::Holds { .. } => true,
        // Only the other digest was asked about.
        Verdict::NoProof(_) => found.expected.as_ref().is_some_and(|(_, fit)| fit.mistakes.is_empty()),
        Verdict::Mistaken { .. } | Verdict::Unknown => false,
    };
    if is_right { Exit::Done } else { Exit::No }
}

/// Which key, without saying what it is.
fn key_of(integration: &IntegrationName, key: Option<usize>) -> String {
    match key {
        None => format!("by the rule of {integration}, without a key of its own"),
        Some(0) => format!("under the current key of {integration}"),
        Some(former) => format!("under a former key of {integration}, number {} of its key_files", former + 1),
    }
}

fn in_words(
    found: &Diagnosis,
    expected: Option<&Prefix>,
    is_kept: bool,
    answer: Option<(&IntegrationName, u16)>,
) -> Vec<String> {
    let mut lines = Vec::new();
    // Where a message has no proof of its own, the other digest is all that can be spoken of.
    let other_only = expected.is_some() && matches!(&found.verdict, Verdict::NoProof(lack) if lack.is_message);
    let no_proof = matches!(found.verdict, Verdict::NoProof(_));
    let tell = |lines: &mut Vec<String>, fit: &Fit| {
        for mistake in &fit.mistakes {
            lines.push(format!("- {}. {}", mistake.what, mistake.cure));
        }
        lines.extend(fit.remarks.iter().map(|remark| format!("Note: {remark}")));
    };
    if let Some(obstacle) = found.obstacle.as_ref().filter(|_| !no_proof) {
        lines.push(format!("It is refused before its proof counts: {obstacle}."));
    }
    match &found.verdict {
        Verdict::Holds { integration, fit, suspect } => {
            lines.push(format!("The proof holds {} ({}).", key_of(integration, fit.key), found.rule));
            lines.push(match suspect {
                None => "The fields are as the gateway writes them.".to_owned(),
                Some(reason) => format!("But the fields are not what the gateway writes in a message to us: {reason}."),
            });
            tell(&mut lines, fit);
        }
        Verdict::Mistaken { integration, fit } => {
            let key = key_of(integration, fit.key);
            lines.push(format!("The proof, which begins with {}, does not hold. It was made {key}, and:", fit.begins));
            tell(&mut lines, fit);
        }
        Verdict::Unknown => {
            lines.push(format!("The proof does not hold, and none of {} ways that were tried fits:", found.tried));
            lines.push(format!("- {TRIED}"));
            lines.push(
                "Most likely it was made with a key that is not configured here, or the message was changed on its way."
                    .to_owned(),
            );
        }
        Verdict::NoProof(_) if other_only => {}
        // What waits in quarantine is all that was posted.
        Verdict::NoProof(lack) if is_kept => lines.push(format!("No proof could be tried: {}.", lack.what)),
        Verdict::NoProof(lack) => lines.push(format!("No proof could be tried: {}. {}", lack.what, lack.instead)),
    }
    match &found.expected {
        Some((integration, fit)) if fit.mistakes.is_empty() => {
            let key = key_of(integration, fit.key);
            lines.push(format!("The digest that begins with {} is the right one {key}.", fit.begins));
        }
        Some((integration, fit)) => {
            let key = key_of(integration, fit.key);
            lines.push(format!("The digest that begins with {} was made {key}, and:", fit.begins));
            tell(&mut lines, fit);
        }
        None if no_proof && !other_only => {}
        None => lines.extend(
            expected.map(|prefix| format!("No way that was tried gives a digest that begins with {}.", prefix.told())),
        ),
    }
    // Nothing is said twice: what is cut off begins as it should.
    let said = match (&found.verdict, &found.expected) {
        (Verdict::Mistaken { fit, .. }, _) | (Verdict::NoProof(_), Some((_, fit))) => Some(&fit.begins),
        _ => None,
    };
    let due = if matches!(found.verdict, Verdict::Holds { .. }) { &[][..] } else { &found.due };
    for (integration, begins) in due.iter().filter(|(_, begins)| said != Some(begins)) {
        lines.push(format!("Under the current key of {integration} it would have to begin with {begins}."));
    }
    if let Some((integration, answer)) = answer.filter(|_| !other_only) {
        let and = match answer {
            200 if matches!(found.verdict, Verdict::Holds { suspect: None, .. }) => "and record it",
            _ => "and keep it in quarantine",
        };
        lines.push(format!("At /paynow/{integration} the daemon would answer {answer} {and}."));
    }
    lines
}

/// What is tried, for people.
const TRIED: &str = "every configured key, in other letter case, without hyphens, with a line end; names hashed or not; \
                     values trimmed, undecoded, decoded twice, with plus signs kept, in ISO 8859-1; fields sorted, one left \
                     out, hash included; the key in front or missing; SHA-256, SHA-1, MD5, HMAC; for JSON: compact, \
                     indented, sorted, with other line ends; base64 and hex; and any two of these at once";

fn of_diagnosis(found: &Diagnosis, answer: Option<(&IntegrationName, u16)>) -> Value {
    let of_fit = |integration: &IntegrationName, fit: &Fit| {
        let mistakes: Vec<Value> = fit
            .mistakes
            .iter()
            .map(|mistake| json!({"code": mistake.code, "what": mistake.what, "cure": mistake.cure}))
            .collect();
        json!({
            "integration": integration.as_str(),
            "key": fit.key,
            "begins": fit.begins,
            "mistakes": mistakes,
            "remarks": fit.remarks,
        })
    };
    let (verifies, fit, suspect) = match &found.verdict {
        Verdict::Holds { integration, fit, suspect } => (true, Some(of_fit(integration, fit)), suspect.as_deref()),
        Verdict::Mistaken { integration, fit } => (false, Some(of_fit(integration, fit)), None),
        Verdict::Unknown | Verdict::NoProof(_) => (false, None, None),
    };
    let due: serde_json::Map<String, Value> =
        found.due.iter().map(|(integration, begins)| (integration.to_string(), json!(begins))).collect();
    let missing = match &found.verdict {
        Verdict::NoProof(lack) => Some(&lack.what),
        _ => None,
    };
    json!({
        "verifies": verifies,
        "missing": missing,
        "fit": fit,
        "bad_field": suspect,
        "obstacle": found.obstacle,
        "expected": found.expected.as_ref().map(|(integration, fit)| of_fit(integration, fit)),
        "due": due,
        "rule": found.rule,
        "answer": answer.map(|(_, answer)| answer),
        "answered_by": answer.map(|(integration, _)| integration.as_str()),
        "tried": found.tried,
    })
}

fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::parse(text).map_err(|error| error.to_string())
}
