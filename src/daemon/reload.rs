//! A new configuration for a daemon at work, asked for by SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Settings};

/// Where the configuration is, and the signal that asks for it to be read again.
#[derive(Debug)]
pub struct Reloads {
    path: PathBuf,
    hangup: Signal,
}

impl Reloads {
    /// Listens for SIGHUP.
    ///
    /// # Errors
    /// When the signal cannot be listened for.
    pub fn of(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self { path, hangup: signal(SignalKind::hangup())? })
    }

    /// Resolves when it is asked for.
    pub(super) async fn asked_for(&mut self) {
        if self.hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// The configuration as it stands now, where it is good and can be taken up by a program that works on `now`.
    pub(super) fn read(&self, now: &Settings) -> Result<Arc<Settings>, Vec<String>> {
        let settings = config::load(&self.path).map_err(|error| error.faults().to_vec())?;
        settings.require_credentials().map_err(|error| error.faults().to_vec())?;
        if settings.store != now.store {
            let path = self.path.display();
            return Err(vec![format!("{path}: store.url cannot change while the daemon runs: restart it")]);
        }
        Ok(Arc::new(settings))
    }
}
