//! The configuration: as written (`raw`), then checked (`settings`). Later code only ever holds checked values.

mod document;
mod doubts;
mod raw;
mod settings;

use std::fmt;
use std::path::{Path, PathBuf};

use document::{Document, Fault};

pub use doubts::doubts;
pub use settings::{
    FolderSettings, HttpSettings, MailSettings, PollSettings, Route, Settings, SmtpSettings, SmtpTls, Transport,
    WatchSettings, WebhookFormat, WebhookSettings, store_place,
};

/// The example configuration, which loads as it is.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A configuration that cannot be used: every fault found, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<String>,
}

impl ConfigError {
    fn one(fault: impl Into<String>) -> Self {
        Self { faults: vec![fault.into()] }
    }

    /// The faults, in the order of the file.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Settings {
    /// Refuses where a secret is missing without which nothing can be sent.
    ///
    /// # Errors
    /// Each that is missing.
    pub fn require_credentials(&self) -> Result<(), ConfigError> {
        let faults = self.missing_credentials.clone();
        if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
    }
}

/// Where the configuration is, and why another place was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file to read.
    pub path: PathBuf,
    /// A warning for the log.
    pub warning: Option<String>,
}

/// Finds the file: `--config`, then `$EDGAR_WATCH_CONFIG`, then `./config.toml`, then `/etc/edgar-watch/config.toml`.
///
/// `./config.toml` is passed over for root, and when another user owns or may write it: the working directory of a
/// privileged process must not choose where its mail goes.
///
/// # Errors
/// When there is none.
pub fn locate(flag: Option<&Path>) -> Result<Located, ConfigError> {
    const SYSTEM: &str = "/etc/edgar-watch/config.toml";
    if let Some(path) = flag {
        return Ok(Located { path: path.to_owned(), warning: None });
    }
    if let Some(path) = std::env::var_os("EDGAR_WATCH_CONFIG").filter(|path| !path.is_empty()) {
        return Ok(Located { path: path.into(), warning: None });
    }
    let local = Path::new("config.toml");
    let mut warning = None;
    if local.is_file() {
        match distrust(local) {
            None => return Ok(Located { path: local.to_owned(), warning: None }),
            Some(reason) => warning = Some(format!("./config.toml is not used: {reason}; name it with --config")),
        }
    }
    if Path::new(SYSTEM).is_file() {
        return Ok(Located { path: SYSTEM.into(), warning });
    }
    let passed_over = warning.map(|warning| format!(" ({warning})")).unwrap_or_default();
    Err(ConfigError::one(format!(
        "no configuration found: give --config FILE, or set EDGAR_WATCH_CONFIG, or put it at {SYSTEM}{passed_over}"
    )))
}

/// Why a file in the working directory is not to be trusted.
fn distrust(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    // A process owns its own entry in /proc, which tells its user without a system call of our own.
    let me = std::fs::metadata("/proc/self").map(|own| own.uid()).ok()?;
    let file = std::fs::metadata(path).ok()?;
    if me == 0 {
        Some("root takes no configuration from the working directory".to_owned())
    } else if file.uid() != me {
        Some("another user owns it".to_owned())
    } else if file.mode() & 0o022 != 0 {
        Some("other users may write it".to_owned())
    } else {
        None
    }
}

/// Reads and checks a file.
///
/// # Errors
/// Every fault found, each naming the file and the key.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::one(format!("{}: {error}", path.display())))?;
    // Relative paths are relative to the file, so its folder is made absolute once.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    parse(&text, &path.display().to_string(), &folder)
}

/// Checks a configuration's text. `name` stands for the file in messages; `folder` is what relative paths start from.
///
/// # Errors
/// Every fault found, each naming the file and the key.
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Settings, ConfigError> {
    let document = Document::read(text);
    let checked = settings::check(&document.raw, folder);
    let mut faults = document.faults.clone();
    match checked {
        Ok(settings) if faults.is_empty() => return Ok(settings),
        // Where the text is no TOML, nothing in it was read.
        Err(found) if !document.is_garbled => faults.extend(
            found
                .into_iter()
                .filter(|words| !document.is_known(words))
                .map(|words| Fault { at: document.place_of(&words), words }),
        ),
        _ => {}
    }
    faults.sort_by_key(|fault| fault.at.unwrap_or(usize::MAX));
    let print = |Fault { at, words }: Fault| match at.map(|at| document.line_and_column(at)) {
        Some((line, column)) => format!("{name}:{line}:{column}: {words}"),
        None => format!("{name}: {words}"),
    };
    Err(ConfigError { faults: faults.into_iter().map(print).collect() })
}
