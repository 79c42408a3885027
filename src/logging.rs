//! Logging: for a terminal, for the journal with its fields, or as JSON. Results go to standard output, never here.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; under systemd for the journal, with fields such as ACCESSION.
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter in force, for [`set_level`].
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging from `level` up; `RUST_LOG` overrides the level. A second call changes nothing.
pub fn start(level: Level, format: LogFormat) {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match (format, journal()) {
        (LogFormat::Json, _) => lines.json().with_filter(filter).boxed(),
        (LogFormat::Text, Some(journal)) => journal.with_filter(filter).boxed(),
        (LogFormat::Text, None) => {
            lines.with_ansi(use_colour(std::io::stderr().is_terminal())).with_filter(filter).boxed()
        }
    };
    // Already started: the first settings stay.
    if tracing_subscriber::registry().with(layer).try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Logs from `level` up from now on.
pub fn set_level(level: Level) {
    if let Some(handle) = FILTER.get() {
        // It fails only when the subscriber is gone.
        let _ = handle.reload(filter(level));
    }
}

fn filter(level: Level) -> EnvFilter {
    // sqlx logs every error that it also returns; it is said once, where it ends.
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,sqlx=off,edgar_watch={}", level.as_str().to_lowercase())))
}

/// The journal, where standard error leads to it (systemd.exec(5), JOURNAL_STREAM): its own protocol keeps fields.
fn journal() -> Option<tracing_journald::Layer> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
    if stream != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    let journal = tracing_journald::layer().ok()?;
    Some(journal.with_field_prefix(None).with_syslog_identifier("edgar-watch".to_owned()))
}

/// Colour is for terminals, and not where NO_COLOR is set (<https://no-color.org>).
pub fn use_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
