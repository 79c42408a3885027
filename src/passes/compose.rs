//! Writes the mails that subscribers get, and keeps their bytes before anything is sent.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use anyhow::{Context, bail};
use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio::sync::OnceCell;

use super::{Watcher, Watchlist};
use crate::agenda::{DueDate, News, falling_due};
use crate::alert::{Alert, digest_message_id, thread_id};
use crate::classify::EventKind;
use crate::config::MailSettings;
use crate::edgar::eastern::eastern_date;
use crate::links::Unsubscribe;
use crate::mail::{Basics, ListMail, build_list_mail, sign};
use crate::render::{
    DIGEST_SUBJECT, Digest, DigestEntry, Setting, Style, describe_alert, describe_digest, render_calendar, render_html,
    render_text, subject,
};
use crate::store::{CarriedNotice, DigestMail, DueMessage};
use crate::subscription::Subscription;
use crate::webhook::{WEBHOOK, write_body};

/// A digest that takes another notice while it is written is written again, so often.
const MOST_WRITINGS: usize = 5;
/// A digest looks ahead so far.
const AHEAD: Days = Days::new(7);
/// Dates that a letter sets lie within so many days of its filing (Rule 5810(c): 180 days, and a second 180).
const LETTERS_OF: Days = Days::new(400);
/// Earlier tellings that are looked at for the issuer's letters.
const MOST_EARLIER: usize = 50;

/// Whom a mail is written to, and what else it says.
#[derive(Debug, Clone, Default)]
pub struct Recipient {
    /// The bare address.
    pub address: String,
    /// Why: the subscriptions that the mail serves, in words.
    pub reasons: Vec<String>,
    /// Letters that the issuer told of before.
    pub earlier: Vec<News>,
    /// Where subscriptions are changed.
    pub preferences: Option<String>,
    /// How the mail is stopped. One who never subscribed needs no way.
    pub unsubscribe: Option<Unsubscribe>,
    /// How dates and times are written.
    pub style: Style,
}

impl Watcher {
    /// The exact bytes to send: those of the first attempt, or now made and kept before anything is sent. `None` for a
    /// message that was dropped meanwhile, and for a digest that has nothing to tell and whose recipient no longer wants it
    /// then: that is dropped here.
    pub(super) async fn frozen_bytes(
        &self,
        message: &DueMessage,
        outlook: &Outlook,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(bytes) = &message.bytes {
            return Ok(Some(bytes.clone()));
        }
        for _ in 0..MOST_WRITINGS {
            let carried = self.store.notices_in(message.id).await?;
            let mut to = self.recipient(&message.recipient, &carried).await?;
            let webhook = message.recipient.strip_prefix(WEBHOOK);
            let webhook = webhook.and_then(|name| self.settings.webhooks.iter().find(|own| own.name == name));
            let bytes = if let Some(webhook) = webhook {
                let notice = carried.first().context("a message without bytes and notice")?;
                write_body(webhook.format, &serde_json::from_str(&notice.alert.content)?, &message.message_id)?
            } else if message.is_digest {
                if carried.is_empty() && !self.wants_empty_digests(&message.recipient).await? {
                    self.store.drop_message(message.id, self.clock.now()).await?;
                    return Ok(None);
                }
                self.write_digest(message, &carried, &to, outlook).await?
            } else {
                let notice = carried.first().context("a message without bytes and notice")?;
                let alert: Alert = serde_json::from_str(&notice.alert.content)?;
                to.earlier = self.earlier_letters(&alert).await?;
                write_notice(&self.settings.mail, &alert, &to, &message.message_id, self.clock.now())?
            };
            if self.store.freeze_message(message.id, &bytes, carried.len()).await? {
                return Ok(Some(bytes));
            }
            if !self.store.is_waiting(message.id).await? {
                return Ok(None);
            }
        }
        bail!("it changes faster than it can be written")
    }

    async fn write_digest(
        &self,
        message: &DueMessage,
        carried: &[CarriedNotice],
        to: &Recipient,
        outlook: &Outlook,
    ) -> anyhow::Result<Vec<u8>> {
        let now = self.clock.now();
        let mut entries = Vec::new();
        for notice in carried {
            // One that another version wrote in another form must not cost the others.
            let Ok(alert) = serde_json::from_str(&notice.alert.content) else {
                tracing::error!("alert {} cannot be read: it is missing in a digest", notice.alert.id);
                continue;
            };
            entries.push(DigestEntry { alert, ordinals: notice.ordinals.clone() });
        }
        let today = now.with_timezone(&to.style.zone).date_naive();
        let digest = Digest { entries, due: self.falling_due(&message.recipient, today, outlook).await? };
        let body = describe_digest(&digest, &to.setting(now));
        let subject = format!("[edgar-watch] {}", body.headline);
        let basics = Basics {
            from: &self.settings.mail.from,
            to: &message.recipient,
            subject: &subject,
            message_id: &message.message_id,
            date: now,
        };
        let mail = ListMail {
            unsubscribe: to.unsubscribe.as_ref(),
            text: render_text(&body),
            html: render_html(&body),
            ..ListMail::default()
        };
        sign(&build_list_mail(&basics, mail)?, &self.settings.mail.dkim, now)
    }

    /// All that a mail says to its recipient besides its notices. Dates are written as the first of the subscriptions has
    /// it that the mail serves.
    async fn recipient(&self, address: &str, carried: &[CarriedNotice]) -> anyhow::Result<Recipient> {
        let book = self.subscriptions().await?;
        let names: Vec<&String> = carried.iter().flat_map(|notice| &notice.subscriptions).collect();
        let serves = |own: &&Subscription| names.contains(&&own.id) || carried.is_empty();
        let served: Vec<&Subscription> = book.of(address).filter(serves).collect();
        let links = self.links();
        // The notice names what asked for it, also what has changed since.
        let mut reasons: Vec<String> = served.iter().map(|own| own.describe()).collect();
        if served.is_empty() {
            reasons = names.iter().map(|name| (*name).clone()).collect();
            reasons.dedup();
        }
        let number = book.of(address).next().map(|own| own.address_id);
        Ok(Recipient {
            address: address.to_owned(),
            reasons,
            earlier: Vec::new(),
            preferences: number.and_then(|number| links.preferences(number, self.clock.now())),
            unsubscribe: number.map(|number| links.unsubscribe(number)),
            style: served
                .first()
                .map(|own| Style { dates: own.terms.dates, zone: own.terms.schedule.zone })
                .unwrap_or_default(),
        })
    }

    /// What an alert's issuer told of in filings before, the first telling of each letter.
    async fn earlier_letters(&self, alert: &Alert) -> anyhow::Result<Vec<News>> {
        let Some(issuer) = alert.filers.first() else { return Ok(Vec::new()) };
        let told_now: Vec<_> = alert.links.iter().map(|link| link.letter).collect();
        let mut earlier = self.store.letters_of(issuer.cik, alert.accepted_at, MOST_EARLIER).await?;
        earlier.retain(|news| !told_now.contains(&news.letter));
        Ok(earlier)
    }

    /// What falls due in the week from a day on at the issuers that a recipient follows.
    async fn falling_due(&self, recipient: &str, from: NaiveDate, outlook: &Outlook) -> anyhow::Result<Vec<DueDate>> {
        let (news, watchlist) = outlook.known.get_or_try_init(|| self.look_ahead()).await?;
        let own: Vec<_> = watchlist.subscriptions.iter().filter(|own| own.recipient == recipient).collect();
        let followed: Vec<&News> = news.iter().filter(|news| own.iter().any(|own| own.covers(&news.filers))).collect();
        Ok(falling_due(&followed, from, from.checked_add_days(AHEAD).unwrap_or(from)))
    }

    async fn look_ahead(&self) -> anyhow::Result<(Vec<News>, Watchlist)> {
        let today = eastern_date(self.clock.now());
        let news = self.store.news_since(today.checked_sub_days(LETTERS_OF).unwrap_or(today)).await?;
        Ok((news, self.known_watchlist().await?))
    }

    async fn wants_empty_digests(&self, recipient: &str) -> anyhow::Result<bool> {
        let book = self.subscriptions().await?;
        Ok(book.of(recipient).any(|own| own.terms.schedule.sends_empty_digests()))
    }

    /// Sees to it that those get a digest who want one even when it has nothing to tell.
    pub(super) async fn begin_empty_digests(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let book = self.subscriptions().await?;
        let wanting = book.live(now).filter(|own| own.terms.schedule.sends_empty_digests());
        let due: BTreeSet<(String, DateTime<Utc>)> =
            wanting.map(|own| (own.address.clone(), own.terms.schedule.due(now).at)).collect();
        let unseen: Vec<(String, DateTime<Utc>)> = {
            let begun = self.digests_begun.lock().unwrap_or_else(PoisonError::into_inner);
            due.difference(&begun).cloned().collect()
        };
        if unseen.is_empty() {
            return Ok(());
        }
        let digests: Vec<(String, DateTime<Utc>, DigestMail)> = unseen
            .into_iter()
            .map(|(recipient, at)| {
                let message_id = digest_message_id("empty", &recipient, at);
                let mail = DigestMail { message_id, subject: DIGEST_SUBJECT.to_owned() };
                (recipient, at, mail)
            })
            .collect();
        self.store.begin_digests(&digests).await?;
        *self.digests_begun.lock().unwrap_or_else(PoisonError::into_inner) = due;
        Ok(())
    }
}

/// What is known of the issuers' dates, read once for all digests of a pass.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    known: OnceCell<(Vec<News>, Watchlist)>,
}

impl Recipient {
    fn setting(&self, written_at: DateTime<Utc>) -> Setting<'_> {
        Setting {
            reasons: &self.reasons,
            earlier: &self.earlier,
            preferences: self.preferences.as_deref(),
            unsubscribe: self.unsubscribe.as_ref(),
            written_at,
            style: self.style,
        }
    }
}

/// The mail that tells one recipient of an alert.
///
/// # Errors
/// When the recipient is no address.
pub fn write_notice(
    settings: &MailSettings,
    alert: &Alert,
    to: &Recipient,
    message_id: &str,
    written_at: DateTime<Utc>,
) -> anyhow::Result<Vec<u8>> {
    let body = describe_alert(alert, &to.setting(written_at));
    let kinds: Vec<&str> = alert.kinds().into_iter().map(EventKind::as_str).collect();
    let issuer = alert.filers.first().map(|filer| filer.cik);
    let thread = issuer.map(thread_id);
    let mail = ListMail {
        headers: vec![
            ("X-EDGAR-Accession", alert.accession.to_string()),
            ("X-EDGAR-CIK", issuer.map(|cik| cik.to_string()).unwrap_or_default()),
            ("X-EDGAR-Form", alert.form.to_string()),
            ("X-EDGAR-Event", kinds.join(",")),
        ],
        thread: thread.as_deref(),
        unsubscribe: to.unsubscribe.as_ref(),
        text: render_text(&body),
        html: render_html(&body),
        calendar: render_calendar(alert, written_at),
    };
    let subject = subject(alert, to.style);
    let basics = Basics { from: &settings.from, to: &to.address, subject: &subject, message_id, date: written_at };
    sign(&build_list_mail(&basics, mail)?, &settings.dkim, written_at)
}
