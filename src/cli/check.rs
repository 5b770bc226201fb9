//! `paynowd check`: everything that is wrong, at once, before it matters.

use clap::Args;

use super::exit::Exit;
use super::{Ended, Place, block_on, output};
use crate::config::{Config, Finding};
use crate::daemon;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also try the mail server and each gateway's certificate.
    #[arg(long)]
    online: bool,
}

pub(super) fn run(place: &Place, wanted: &Arguments) -> Ended {
    // They are what was asked for, and so go to standard output.
    let (config, warnings) = Config::load(place.file.as_deref(), &place.environment).map_err(|findings| {
        report(&findings.0);
        Exit::No
    })?;
    report(&warnings);
    let mut sound = warnings.is_empty();
    match daemon::idle_keys(&config) {
        Ok(idle) => {
            for key in idle {
                sound = false;
                output::line(format!(
                    "warning: {}: integrations.{}.key_files: {} has proven nothing since {}; if every shop signs with the \
                     new key, remove it from the list",
                    config.file.display(),
                    key.integration,
                    key.file,
                    key.last_needed().format("%Y-%m-%d"),
                ));
            }
        }
        Err(error) => {
            sound = false;
            output::line(format!("error: {}: ledger.path: {error}", config.file.display()));
        }
    }
    if wanted.online {
        for probe in block_on(daemon::probe(&config))? {
            match probe.result {
                Ok(()) => output::line(format!("ok: {}", probe.what)),
                Err(trouble) => {
                    sound = false;
                    output::line(format!("error: {}: {trouble}", probe.what))
                }
            };
        }
    }
    if !sound {
        return Ok(Exit::No);
    }
    output::line(format!("{}: in order", config.file.display()));
    for integration in &config.integrations {
        let terms = &integration.terms;
        let letters = match terms.recipients.len() {
            0 => "no letters, for notify is empty".into(),
            recipients => format!("{} letters to {recipients} recipient(s)", terms.announce.code()),
        };
        output::line(format!(
            "  {}: {}, {}, {} money, {letters}, post to /paynow/{}",
            integration.name,
            integration.protocol.code(),
            terms.currency,
            terms.mode.code(),
            integration.name,
        ));
    }
    Ok(Exit::Done)
}

fn report(findings: &[Finding]) {
    for finding in findings {
        output::line(format!("{}: {finding}", finding.level.code()));
    }
}
