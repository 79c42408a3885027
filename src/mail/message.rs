//! Mails as bytes (RFC 5322, MIME).

use anyhow::Context;
use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MessageBuilder, MultiPart, SinglePart};

use crate::links::Unsubscribe;

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

/// What a mail to subscribers has besides.
#[derive(Debug, Clone, Default)]
pub struct ListMail<'a> {
    /// Headers of its own.
    pub headers: Vec<(&'static str, String)>,
    /// What it answers to, without angle brackets: mails that name the same stand together. No mail bears that name.
    pub thread: Option<&'a str>,
    /// How its recipient stops the mail.
    pub unsubscribe: Option<&'a Unsubscribe>,
    /// The text part.
    pub text: String,
    /// The same in HTML.
    pub html: String,
    /// Dates (RFC 5545).
    pub calendar: Option<String>,
}

/// A mail to subscribers: text and HTML, one recipient, headers of its own.
///
/// # Errors
/// When the recipient is no address.
pub fn build_list_mail(basics: &Basics<'_>, mail: ListMail<'_>) -> anyhow::Result<Vec<u8>> {
    let alternative = MultiPart::alternative()
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(mail.text))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(mail.html));
    let parts = match mail.calendar {
        Some(calendar) => {
            let kind = ContentType::parse("text/calendar; charset=utf-8; method=PUBLISH")?;
            let dates = Attachment::new("dates.ics".to_owned()).body(calendar, kind);
            MultiPart::mixed().multipart(alternative).singlepart(dates)
        }
        None => alternative,
    };
    let mut message = start(basics)?;
    if let Some(thread) = mail.thread {
        let thread = format!("<{thread}>");
        message = message.in_reply_to(thread.clone()).references(thread);
    }
    let mut message = message.multipart(parts)?;
    // The list is named after the sender's domain, as RFC 2919 has it.
    let list_id = format!("EDGAR Watch alerts <edgar-watch.{}>", basics.from.email.domain());
    add_header(&mut message, "List-Id", list_id);
    if let Some(unsubscribe) = mail.unsubscribe {
        add_header(&mut message, "List-Unsubscribe", unsubscribe.header());
        if unsubscribe.is_one_click() {
            add_header(&mut message, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
        }
    }
    for (name, value) in mail.headers {
        add_header(&mut message, name, value);
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
