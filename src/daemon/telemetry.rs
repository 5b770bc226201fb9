//! What the journal gets: one line per happening, the message for people, dotted fields for machines.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogConfig, LogFormat};

/// Said by libraries about themselves, of no use to an operator.
const QUIET: &str = "tokio_cron_scheduler=warn";

/// Starts logging to standard error. Under systemd the journal adds the time, and takes the level from a prefix.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::new(format!("{QUIET},{}", config.level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
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
