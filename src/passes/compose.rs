//! Writes the mails that subscribers get, and keeps their bytes before anything is sent.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use chrono::{DateTime, Days, NaiveDate, Utc};
use lettre::message::Mailbox;

use super::Watcher;
use crate::agenda::{DueDate, falling_due};
use crate::alert::{Alert, thread_id};
use crate::classify::EventKind;
use crate::mail::{Basics, Thread, build_list_mail};
use crate::render::{
    Digest, DigestEntry, Style, describe_alert, describe_digest, render_html, render_text, subject,
};
use crate::store::{CarriedNotice, DueMessage};

/// A digest that takes another notice while it is written is written again, so often.
const MOST_WRITINGS: usize = 5;
/// A digest looks ahead so far.
const AHEAD: Days = Days::new(7);
/// Dates that a letter sets lie within so many days of its filing (Rule 5810(c): 180 days, and a second 180).
const LETTERS_OF: Days = Days::new(400);

/// Whom a mail is written to.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The bare address.
    pub address: &'a str,
    /// The subscriptions that the mail serves.
    pub subscriptions: &'a [String],
    /// How the recipient likes dates and times.
    pub style: Style,
}

impl Watcher {
    /// The exact bytes to send: those of the first attempt, or now made and kept before anything is sent.
    pub(super) async fn frozen_bytes(&self, message: &DueMessage) -> anyhow::Result<Vec<u8>> {
        if let Some(bytes) = &message.bytes {
            return Ok(bytes.clone());
        }
        for _ in 0..MOST_WRITINGS {
            let carried = self.store.notices_in(message.id).await?;
            let style = self.style_of(&message.recipient, &carried).await?;
            let bytes = if message.is_digest {
                self.write_digest(message, &carried, style).await?
            } else {
                let notice = carried.first().context("a message without bytes and notice")?;
                let alert: Alert = serde_json::from_str(&notice.alert.content)?;
                let (from, now) = (&self.settings.mail.from, self.clock.now());
                let to = Recipient { address: &message.recipient, subscriptions: &notice.subscriptions, style };
                write_notice(from, &alert, to, &message.message_id, now)?
            };
            if self.store.freeze_message(message.id, &bytes, carried.len()).await? {
                return Ok(bytes);
            }
        }
        bail!("it changes faster than it can be written")
    }

    async fn write_digest(
        &self,
        message: &DueMessage,
        carried: &[CarriedNotice],
        style: Style,
    ) -> anyhow::Result<Vec<u8>> {
        let now = self.clock.now();
        let mut entries = Vec::new();
        let mut subscriptions: BTreeSet<String> = BTreeSet::new();
        for notice in carried {
            subscriptions.extend(notice.subscriptions.iter().cloned());
            let alert = serde_json::from_str(&notice.alert.content)?;
            entries.push(DigestEntry { alert, ordinals: notice.ordinals.clone() });
        }
        let own = self.live_subscriptions().await?.into_iter().filter(|own| own.address == message.recipient);
        let digests: Vec<String> = own.filter(|own| own.terms.schedule.is_digest()).map(|own| own.id).collect();
        subscriptions.extend(digests);
        let due = self.falling_due(&message.recipient, now.with_timezone(&style.zone).date_naive()).await?;
        let digest = Digest { entries, due, subscriptions: subscriptions.into_iter().collect() };
        let body = describe_digest(&digest, style);
        let subject = format!("[edgar-watch] {}", body.headline);
        let basics = Basics {
            from: &self.settings.mail.from,
            to: &message.recipient,
            subject: &subject,
            message_id: &message.message_id,
            date: now,
        };
        build_list_mail(&basics, &[], None, render_text(&body), render_html(&body))
    }

    /// How a recipient likes dates and times: as the first of the subscriptions has it that the mail serves.
    async fn style_of(&self, recipient: &str, carried: &[CarriedNotice]) -> anyhow::Result<Style> {
        let names: Vec<&String> = carried.iter().flat_map(|notice| &notice.subscriptions).collect();
        let own = self.live_subscriptions().await?.into_iter().filter(|own| own.address == recipient);
        let first = own.min_by_key(|own| names.iter().position(|name| **name == own.id).unwrap_or(usize::MAX));
        Ok(first.map(|own| Style { dates: own.terms.dates, zone: own.terms.schedule.zone }).unwrap_or_default())
    }

    /// What falls due in the week from a day on at the issuers that a recipient follows.
    async fn falling_due(&self, recipient: &str, from: NaiveDate) -> anyhow::Result<Vec<DueDate>> {
        let news = self.store.news_since(from.checked_sub_days(LETTERS_OF).unwrap_or(from)).await?;
        let watchlist = self.known_watchlist().await?;
        let own: Vec<_> = watchlist.subscriptions.iter().filter(|own| own.recipient == recipient).collect();
        let followed: Vec<_> =
            news.into_iter().filter(|news| own.iter().any(|own| own.covers(&news.filers))).collect();
        Ok(falling_due(&followed, from, from.checked_add_days(AHEAD).unwrap_or(from)))
    }
}

/// The mail that tells one recipient of an alert.
///
/// # Errors
/// When the recipient is no address.
pub fn write_notice(
    from: &Mailbox,
    alert: &Alert,
    to: Recipient<'_>,
    message_id: &str,
    written_at: DateTime<Utc>,
) -> anyhow::Result<Vec<u8>> {
    let body = describe_alert(alert, to.subscriptions, written_at, to.style);
    let kinds: Vec<&str> = alert.kinds().into_iter().map(EventKind::as_str).collect();
    let letter = alert.links.first().map(|link| link.letter.accession);
    let headers = [
        ("X-EDGAR-Accession", alert.accession.to_string()),
        ("X-EDGAR-CIK", alert.filers.first().map(|filer| filer.cik.to_string()).unwrap_or_default()),
        ("X-EDGAR-Form", alert.form.to_string()),
        ("X-EDGAR-Event", kinds.join(",")),
    ];
    let thread = Thread {
        thread_id: thread_id(alert.accession),
        letter_thread_id: letter.filter(|letter| *letter != alert.accession).map(thread_id),
    };
    let subject = subject(alert, to.style);
    let basics = Basics { from, to: to.address, subject: &subject, message_id, date: written_at };
    build_list_mail(&basics, &headers, Some(&thread), render_text(&body), render_html(&body))
}
