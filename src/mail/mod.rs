//! How mail leaves: one interface over SMTP, the system's sendmail and a folder. Nothing else speaks SMTP.

mod dkim;
mod folder;
mod message;
mod sendmail;
mod smtp;
mod walk;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{MailSettings, SmtpSettings, Transport};

pub use dkim::{DkimKey, sign};
pub use message::{Basics, ListMail, build_list_mail, build_plain};
pub use smtp::{SmtpTimeouts, SmtpTransport};
pub use walk::walk;

/// Whether a mail may be with the other side already: who cuts the delivery short from then on may send it twice.
#[derive(Debug, Default)]
pub struct HandOver(AtomicBool);

impl HandOver {
    /// It begins now.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One mail for one recipient.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The sender's bare address.
    pub from: &'a str,
    /// The recipient's bare address.
    pub to: &'a str,
    /// The mail's identity, without angle brackets.
    pub message_id: &'a str,
    /// Told when the mail leaves this program's hands.
    pub hand_over: &'a HandOver,
}

/// A mail that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The way out is closed: nothing was said about this mail, and the next would fare the same.
    #[error("{0}")]
    Unreachable(String),
    /// The other side fell silent while it had the mail, and may have taken it. The next would wait as long.
    #[error("{0}")]
    NoAnswer(String),
    /// This mail is to be tried again later.
    #[error("{0}")]
    Transient(String),
    /// This mail is refused for good.
    #[error("{0}")]
    Permanent(String),
    /// The address takes no mail.
    #[error("{0}")]
    BadAddress(String),
}

/// The configured way out, with whatever connection it keeps open.
#[derive(Debug)]
pub enum Mailer {
    /// A relay.
    Smtp(Box<SmtpTransport>),
    /// The system's sendmail.
    Sendmail,
    /// A folder.
    Folder(std::path::PathBuf),
}

/// Whether the configured transport can work where this process runs.
///
/// # Errors
/// Why it cannot, beginning with the key.
pub fn check_sandbox(settings: &MailSettings) -> Result<(), String> {
    match settings.transport {
        Transport::Sendmail => sendmail::check_sandbox().map_err(|reason| format!("mail.transport: {reason}")),
        Transport::Smtp(_) | Transport::Folder(_) => Ok(()),
    }
}

impl Mailer {
    /// Prepares the configured transport; nothing is contacted.
    ///
    /// # Errors
    /// When a password or CA file cannot be read.
    pub fn new(settings: &MailSettings) -> anyhow::Result<Self> {
        Ok(match &settings.transport {
            Transport::Smtp(smtp) => Self::for_relay(smtp)?,
            Transport::Sendmail => Self::Sendmail,
            Transport::Folder(folder) => Self::Folder(folder.path.clone()),
        })
    }

    /// The way to one relay.
    ///
    /// # Errors
    /// When a password or CA file cannot be read.
    pub fn for_relay(smtp: &SmtpSettings) -> anyhow::Result<Self> {
        Ok(Self::Smtp(Box::new(SmtpTransport::new(smtp, SmtpTimeouts::default())?)))
    }

    /// Hands one mail over and returns the other side's last words.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn send(&mut self, envelope: Envelope<'_>, bytes: &[u8]) -> Result<String, DeliveryError> {
        match self {
            Self::Smtp(smtp) => smtp.send(envelope, bytes).await,
            Self::Sendmail => sendmail::send(envelope, bytes).await,
            Self::Folder(path) => folder::write(path, envelope, bytes).await,
        }
    }

    /// Tries the way out without sending anything: connects, encrypts and logs in, or writes to the folder.
    ///
    /// # Errors
    /// [`DeliveryError::Unreachable`].
    pub async fn greet(&mut self) -> Result<(), DeliveryError> {
        match self {
            Self::Smtp(smtp) => smtp.greet().await,
            Self::Sendmail => sendmail::look().await,
            Self::Folder(path) => folder::look(path),
        }
    }

    /// Ends the open connection, if any, politely.
    pub async fn close(&mut self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }

    /// Where mail goes, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Smtp(smtp) => smtp.describe(),
            Self::Sendmail => "the system's sendmail".to_owned(),
            Self::Folder(path) => format!("folder {}", path.display()),
        }
    }
}
