//! Mails as bytes (RFC 5322, MIME).

use anyhow::Context;
use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};

/// The thread that a mail belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// That of its filing, without angle brackets.
    pub thread_id: String,
    /// That of the filing that first told of the letter, where that is another one.
    pub letter_thread_id: Option<String>,
}

/// What every mail has.
#[derive(Debug, Clone)]
pub struct Basics<'a> {
    /// The sender.
    pub from: &'a Mailbox,
    /// The recipient's bare address.
    pub to: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// Its identity, without angle brackets.
    pub message_id: &'a str,
    /// Its date.
    pub date: DateTime<Utc>,
}

/// A mail to subscribers: text and HTML, one recipient, headers of its own.
///
/// # Errors
/// When the recipient is no address.
pub fn build_list_mail(
    basics: &Basics<'_>,
    headers: &[(&'static str, String)],
    thread: Option<&Thread>,
    text: String,
    html: String,
) -> anyhow::Result<Vec<u8>> {
    let alternative = MultiPart::alternative()
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
    let mut message = start(basics)?;
    if let Some(Thread { thread_id, letter_thread_id }) = thread {
        let thread = format!("<{thread_id}>");
        // Oldest first, as RFC 5322 has it.
        let references = match letter_thread_id {
            Some(letter) => format!("<{letter}> {thread}"),
            None => thread.clone(),
        };
        message = message.in_reply_to(thread).references(references);
    }
    let mut message = message.multipart(alternative)?;
    // The list is named after the sender's domain, as RFC 2919 has it.
    let list_id = format!("EDGAR Watch alerts <edgar-watch.{}>", basics.from.email.domain());
    add_header(&mut message, "List-Id", list_id);
    for (name, value) in headers {
        add_header(&mut message, name, value.clone());
    }
    finish(message)
}

/// A mail of plain text: to the owner, or a test.
///
/// # Errors
/// When the recipient is no address.
pub fn build_plain(basics: &Basics<'_>, text: String) -> anyhow::Result<Vec<u8>> {
    let message = start(basics)?.singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))?;
    finish(message)
}

fn start(basics: &Basics<'_>) -> anyhow::Result<MessageBuilder> {
    let to: Mailbox = basics.to.parse().with_context(|| format!("\"{}\" is no mail address", basics.to))?;
    Ok(Message::builder()
        .from(basics.from.clone())
        .to(to)
        .subject(basics.subject)
        .message_id(Some(format!("<{}>", basics.message_id)))
        .date(basics.date.into()))
}

fn finish(mut message: Message) -> anyhow::Result<Vec<u8>> {
    add_header(&mut message, "Auto-Submitted", "auto-generated".to_owned());
    Ok(message.formatted())
}

/// Line breaks and other controls in a value would start headers of their own.
fn add_header(message: &mut Message, name: &'static str, value: String) {
    let value: String = value.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    message.headers_mut().insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
}
