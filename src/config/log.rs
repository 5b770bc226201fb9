//! `[log]`: what is written to the journal, and how. Installs nothing.

use tracing_subscriber::EnvFilter;

use super::reader::Section;

/// The words that alone are a level.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is written to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives that [`EnvFilter`] understands.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people and the journal.
    Text,
    /// One JSON object a line.
    Json,
}

crate::domain::codes!(LogFormat { Text = "text", Json = "json" });

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let rule = "a level (off, error, warn, info, debug, trace), or levels by module like \
                    \"info,paynowd::reconciler=debug\"";
        let formats = [LogFormat::Text, LogFormat::Json].map(|format| (format.code(), format));
        let usual = Self::default();
        let config = Self {
            level: section.read("level", rule, directives).unwrap_or(usual.level),
            format: section.choice("format", usual.format, &formats),
        };
        section.finish();
        config
    }
}

/// A bare word that is no level would silently be taken for a module's name.
fn directives(text: &str) -> Option<String> {
    let sound = text.split(',').all(|part| part.contains('=') || LEVELS.contains(&part.trim()));
    (sound && EnvFilter::builder().parse(text).is_ok()).then(|| text.to_owned())
}
