//! The command line: one file for each command, exit codes in one place.

mod alerts;
mod backfill;
mod backup;
mod check_config;
mod completions;
mod demo;
mod evaluate;
mod explain;
mod inbound;
mod migrate_store;
mod once;
mod outbox;
mod reread;
mod run;
mod status;
mod subscriptions;
mod test_mail;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tracing::Level;

use crate::classify::Phrase;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, ConfigError, Settings};
use crate::logging::{self, LogFormat};
use crate::mail::DeliveryError;
use crate::passes::PassError;
use crate::store::{OpenError, Store, foreign_owner};

/// What the manual says of files and exit codes.
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 failed; 2 wrong usage; 75 EDGAR, the relay or the store was out of reach, try again; 78 the \
configuration needs a person.

Files: /etc/edgar-watch/config.toml; /var/lib/edgar-watch/state.db, the store; state.db.keys beside it, which signs the \
links in mails.

Environment: EDGAR_WATCH_CONFIG names the configuration; RUST_LOG overrides the level of the log; NO_COLOR turns colours \
off.";

/// Watches SEC EDGAR and mails you when a company reports a new NASDAQ staff determination.
#[derive(Debug, Parser)]
#[command(name = "edgar-watch", version, about, long_about = None, after_long_help = AFTER_HELP, max_term_width = 100)]
pub struct Args {
    /// Configuration file [default: $EDGAR_WATCH_CONFIG, ./config.toml, /etc/edgar-watch/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Poll, read, record and deliver until SIGTERM or SIGINT
    Run(run::RunArgs),
    /// One cycle, then exit: for cron and timers
    Once(once::OnceArgs),
    /// Show the whole path on a small invented archive: no configuration, no network
    Demo(demo::DemoArgs),
    /// Check the configuration and print what is in effect, without secrets
    CheckConfig(check_config::CheckConfigArgs),
    /// Read documents and say what was found and why
    Explain(explain::ExplainArgs),
    /// Read labelled documents and say how often that goes right, and where not
    Evaluate(evaluate::EvaluateArgs),
    /// Read the filings of past days: recorded, and mailed only with --send
    Backfill(backfill::BackfillArgs),
    /// List what was found, and who was told when
    Alerts(alerts::AlertsArgs),
    /// Read stored filings again after an upgrade, and say what changed
    Reread(reread::RereadArgs),
    /// List and act on mail that waits or was set aside
    Outbox(outbox::OutboxArgs),
    /// Show the last cycle, requests used, filings and mail that wait
    Status(status::StatusArgs),
    /// List and change who gets what
    Subscriptions(subscriptions::SubscriptionsArgs),
    /// Read a mail that came back: an unsubscribe or a bounce
    Inbound(inbound::InboundArgs),
    /// Copy the store to a file, also while the daemon works
    Backup(backup::BackupArgs),
    /// Put a copy in the place of the store, while nobody works on it
    Restore(backup::BackupArgs),
    /// Copy the store from SQLite to PostgreSQL or back, and compare
    MigrateStore(migrate_store::MigrateStoreArgs),
    /// Print what a shell needs to complete commands
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(completions::ManArgs),
    /// Send one real mail over the configured transport
    TestMail(test_mail::TestMailArgs),
}

/// Why a command failed, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    /// 1 failed; 2 wrong usage; 75 out of reach, try again; 78 configuration.
    pub code: u8,
    /// One line for standard error; empty when all was said already.
    pub message: String,
}

impl Failure {
    fn config(message: impl ToString) -> Self {
        Self { code: 78, message: message.to_string() }
    }

    fn out_of_reach(message: impl ToString) -> Self {
        Self { code: 75, message: message.to_string() }
    }

    fn failed(message: impl ToString) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    fn usage(message: impl ToString) -> Self {
        Self { code: 2, message: message.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            // No restart and no second try mends these.
            OpenError::Newer { .. } | OpenError::Broken { .. } => Self::config(error),
            OpenError::Absent { .. } | OpenError::Unusable { .. } => Self::out_of_reach(error),
        }
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Permanent(_) | DeliveryError::BadAddress(_) => Self::failed(error),
            DeliveryError::Unreachable(_) | DeliveryError::NoAnswer(_) | DeliveryError::Transient(_) => {
                Self::out_of_reach(error)
            }
        }
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Config(_) => Self::config(error),
            PassError::Unknown(_) => Self::failed(error),
            PassError::Outage(_) | PassError::Store(_) => Self::out_of_reach(error),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

/// Runs the command that the arguments name.
///
/// # Errors
/// [`Failure`], with the exit code.
pub async fn run(args: Args) -> Result<(), Failure> {
    let common = Common { config: args.config, log_format: args.log_format };
    match args.command {
        Command::Run(args) => run::run(&common, &args).await,
        Command::Once(args) => once::run(&common, &args).await,
        Command::Demo(args) => demo::run(&common, &args).await,
        Command::CheckConfig(args) => check_config::run(&common, &args).await,
        Command::Explain(args) => explain::run(&common, &args).await,
        Command::Evaluate(args) => evaluate::run(&common, &args).await,
        Command::Backfill(args) => backfill::run(&common, &args).await,
        Command::Alerts(args) => alerts::run(&common, &args).await,
        Command::Reread(args) => reread::run(&common, &args).await,
        Command::Outbox(args) => outbox::run(&common, &args).await,
        Command::Status(args) => status::run(&common, &args).await,
        Command::Subscriptions(args) => subscriptions::run(&common, &args).await,
        Command::Inbound(args) => inbound::run(&common, &args).await,
        Command::Backup(args) => backup::run(&common, &args).await,
        Command::Restore(args) => backup::put_back(&common, &args).await,
        Command::MigrateStore(args) => migrate_store::run(&common, &args).await,
        Command::Completions(args) => completions::complete(&args),
        Command::Man(args) => completions::man(&args),
        Command::TestMail(args) => test_mail::run(&common, &args).await,
    }
}

/// What every command is given.
struct Common {
    config: Option<PathBuf>,
    log_format: LogFormat,
}

impl Common {
    /// Loads the configuration and starts logging, from the configured level or, if given, from `level`.
    fn load(&self, level: Option<Level>) -> Result<Arc<Settings>, Failure> {
        self.load_from(level).map(|(settings, _)| settings)
    }

    /// The same, with the file it was loaded from.
    fn load_from(&self, level: Option<Level>) -> Result<(Arc<Settings>, PathBuf), Failure> {
        let located = config::locate(self.config.as_deref())?;
        let settings = config::load(&located.path)?;
        logging::start(level.unwrap_or(settings.log_level), self.log_format);
        if let Some(warning) = located.warning {
            tracing::warn!("{warning}");
        }
        Ok((Arc::new(settings), located.path))
    }

    /// [`Self::load`] for a command that works on the store, which must be this user's.
    fn load_for_store(&self, level: Option<Level>) -> Result<Arc<Settings>, Failure> {
        let settings = self.load(level)?;
        own_store(&settings)?;
        Ok(settings)
    }

    /// The phrases of the configuration, if there is one: what only reads documents does so as the daemon does, and works
    /// without.
    fn own_patterns(&self) -> Result<Arc<[Phrase]>, Failure> {
        match config::locate(self.config.as_deref()) {
            Ok(located) => Ok(config::load(&located.path)?.reading.patterns),
            Err(error) if self.config.is_some() => Err(error.into()),
            Err(_) => Ok(Arc::default()),
        }
    }

    /// Loads the configuration and opens the store that a daemon or `once` has made.
    async fn load_with_store(&self) -> Result<(Arc<Settings>, Store), Failure> {
        let settings = self.load_for_store(Some(Level::WARN))?;
        let store = Store::open_existing(&settings.store).await?;
        Ok((settings, store))
    }
}

/// Refuses to work on a store of another user's: what this one would leave beside it, that one could not write.
fn own_store(settings: &Settings) -> Result<(), Failure> {
    let Some(owner) = foreign_owner(&settings.store) else { return Ok(()) };
    let command: Vec<String> = std::env::args().map(|word| quote(&word)).collect();
    let path = &settings.store;
    Err(Failure::failed(format!(
        "the store {path} belongs to the user {owner}: runuser -u {owner} -- {}",
        command.join(" ")
    )))
}

/// A word as a shell takes it.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Writes one line to standard error, for a command that has more than one thing to complain of.
fn complain(message: impl std::fmt::Display) {
    eprintln!("edgar-watch: {message}");
}

fn system_clock() -> SharedClock {
    #[cfg(feature = "fail-points")]
    if let Some(now) = crate::fail_points::started_at() {
        return Arc::new(crate::clock::SetClock::set_to(now));
    }
    Arc::new(SystemClock)
}

/// Writes to standard output. A reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

/// Writes one JSON value and a line end.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value}\n"))
}
