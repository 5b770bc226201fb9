//! What the journal gets: one line per happening, the message for people, dotted fields for machines.

use std::fmt;
use std::io;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogConfig, LogFormat};
use crate::domain::is_hidden;

/// Said by libraries about themselves, of no use to an operator.
const QUIET: &str = "tokio_cron_scheduler=warn";

/// Starts logging to standard error. Under systemd the journal adds the time, and takes the level from a prefix.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::new(format!("{QUIET},{}", config.level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Stderr).with_ansi(false);
    let started = if config.format == LogFormat::Json {
        log.json().flatten_event(true).try_init()
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.event_format(Journal(Format::default().without_time().with_level(false).with_target(false))).try_init()
    } else {
        log.with_target(false).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging had been started before");
    }
}

/// Standard error. An order's reference may hold any printable character, and some of those move cursors or turn lines
/// around; a line of the log stays one line, and what it hides is written out. A line that cannot be written is lost,
/// and nothing else: the disk that is full, or the pipe that nobody reads, must not end the daemon.
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(harmless(&String::from_utf8_lossy(line)).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().lock().flush();
        Ok(())
    }
}

/// The line with every hidden character as JSON would escape it, so that it reads the same in both formats.
fn harmless(line: &str) -> String {
    let (words, end) = line.strip_suffix('\n').map_or((line, ""), |words| (words, "\n"));
    let mut seen = String::with_capacity(line.len());
    for c in words.chars() {
        if is_hidden(c) {
            seen.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            seen.push(c);
        }
    }
    seen + end
}

/// Lines as the journal likes them: `<6>message field=value`.
struct Journal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        };
        writer.write_str(priority)?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_line_stays_one_line_and_hides_nothing() {
        assert_eq!(harmless("paid reference=INV-32 Müller 訂單\n"), "paid reference=INV-32 Müller 訂單\n");
        assert_eq!(harmless("a\u{202e}b\u{1b}[2J\nERROR c\n"), "a\\u202eb\\u001b[2J\\u000aERROR c\n");
        assert_eq!(harmless("\u{e0041}"), "\\udb40\\udc41");
    }
}
