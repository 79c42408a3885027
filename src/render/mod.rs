//! An alert as a mail: subject, text and HTML. Both bodies are written from one [`Body`], so they say the same.
//!
//! The order of the parts is that of a reader in a hurry: verdict, issuer, letter, basis, next date, proof, history,
//! links, times.

mod body;
mod digest;
mod html;
mod ics;
mod json;
mod style;
mod text;
mod words;

pub use body::{Body, Line, Section, Setting, describe_alert};
pub use digest::{DIGEST_SUBJECT, Digest, DigestEntry, describe_digest, digest_subject};
pub use html::render_html;
pub use ics::render_calendar;
pub use json::alert_json;
pub use style::{DateStyle, Style};
pub use text::render_text;
pub use words::{event_title, subject};
