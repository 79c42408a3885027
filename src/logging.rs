//! Logging: for a terminal, for the journal, or as JSON. Always to standard error; results go to standard output.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging from `level` up; `RUST_LOG` overrides the level. A second call changes nothing.
pub fn start(level: Level, format: LogFormat) {
    // sqlx logs every error that it also returns; it is said once, where it ends.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,sqlx=off,edgar_watch={}", level.as_str().to_lowercase())));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // The journal stamps every line itself.
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let started = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text if to_journal => builder.with_ansi(false).without_time().try_init(),
        LogFormat::Text => builder.with_ansi(use_colour(std::io::stderr().is_terminal())).try_init(),
    };
    // Already started: the first settings stay.
    drop(started);
}

/// Colour is for terminals, and not where NO_COLOR is set (<https://no-color.org>).
pub fn use_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
