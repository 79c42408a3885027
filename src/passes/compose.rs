//! Writes the mails that subscribers get.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, Utc};

use super::subscriptions::SubscriptionBook;
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
use crate::store::{AlertRow, CarriedNotice, DigestMail, DueMessage};
use crate::subscription::Subscription;
use crate::webhook::{WEBHOOK, write_body};

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
    /// Gathers what a message is written of. `None` for a digest that has nothing to tell and whose recipient no longer wants
    /// it then.
    pub(super) async fn draft(
        &self,
        message: &DueMessage,
        carried: &[CarriedNotice],
        outlook: &Outlook,
    ) -> anyhow::Result<Option<Draft>> {
        let book = outlook.book(self).await?;
        let webhook = message.recipient.strip_prefix(WEBHOOK);
        let webhook = webhook.and_then(|name| self.settings.webhooks.iter().find(|own| own.name == name));
        if message.is_digest {
            if carried.is_empty() && !book.of(&message.recipient).any(|own| own.terms.schedule.sends_empty_digests()) {
                return Ok(None);
            }
            let to = self.recipient(&book, &message.recipient, carried);
            return self.write_digest(message, carried, &to, outlook).await.map(|bytes| Some(Draft::Written(bytes)));
        }
        let notice = carried.first().context("a message without bytes and notice")?;
        let told = outlook.told(self, &notice.alert).await?;
        if let Some(webhook) = webhook {
            let bytes = write_body(webhook.format, &told.alert, &message.message_id)?;
            return Ok(Some(Draft::Written(bytes)));
        }
        let mut to = self.recipient(&book, &message.recipient, carried);
        to.earlier.clone_from(&told.earlier);
        Ok(Some(Draft::Notice { told, to: Box::new(to), message_id: message.message_id.clone() }))
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
    fn recipient(&self, book: &SubscriptionBook, address: &str, carried: &[CarriedNotice]) -> Recipient {
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
        Recipient {
            address: address.to_owned(),
            reasons,
            earlier: Vec::new(),
            preferences: number.and_then(|number| links.preferences(number, self.clock.now())),
            unsubscribe: number.map(|number| links.unsubscribe(number)),
            style: served
                .first()
                .map(|own| Style { dates: own.terms.dates, zone: own.terms.schedule.zone })
                .unwrap_or_default(),
        }
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
        let Ahead { news, watchlist } = &*outlook.ahead(self).await?;
        let own: Vec<_> = watchlist.subscriptions.iter().filter(|own| own.recipient == recipient).collect();
        let followed: Vec<&News> = news.iter().filter(|news| own.iter().any(|own| own.covers(&news.filers))).collect();
        Ok(falling_due(&followed, from, from.checked_add_days(AHEAD).unwrap_or(from)))
    }

    async fn look_ahead(&self) -> anyhow::Result<Ahead> {
        let today = eastern_date(self.clock.now());
        let news = self.store.news_since(today.checked_sub_days(LETTERS_OF).unwrap_or(today)).await?;
        Ok(Ahead { news, watchlist: self.known_watchlist().await? })
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

/// What several messages of a pass are written from, read once for all of them.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// The issuers' dates, for digests.
    ahead: Mutex<Option<Arc<Ahead>>>,
    /// Who asked for what.
    book: Mutex<Option<Arc<SubscriptionBook>>>,
    /// The alert that was told last: most messages of a pass tell the same.
    told: Mutex<Option<Arc<ToldAlert>>>,
}

/// A message that is to be written, away from whoever sends meanwhile.
#[derive(Debug)]
pub(super) enum Draft {
    /// The mail that tells of an alert.
    Notice { told: Arc<ToldAlert>, to: Box<Recipient>, message_id: String },
    /// It is written.
    Written(Vec<u8>),
}

impl Draft {
    /// The message's bytes.
    ///
    /// # Errors
    /// When the recipient is no address.
    pub(super) fn write(self, settings: &MailSettings, now: DateTime<Utc>) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Notice { told, to, message_id } => write_notice(settings, &told.alert, &to, &message_id, now),
            Self::Written(bytes) => Ok(bytes),
        }
    }
}

/// What issuers told of dates to come, and who follows whom.
#[derive(Debug)]
struct Ahead {
    news: Vec<News>,
    watchlist: Arc<Watchlist>,
}

/// An alert, and what its issuer told before.
#[derive(Debug)]
pub(super) struct ToldAlert {
    row: Arc<AlertRow>,
    alert: Alert,
    earlier: Vec<News>,
}

impl Outlook {
    /// Forgets what may have changed: it is read again for the messages that are written next.
    pub(super) fn refresh(&self) {
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn ahead(&self, watcher: &Watcher) -> anyhow::Result<Arc<Ahead>> {
        if let Some(ahead) = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(ahead);
        }
        let ahead = Arc::new(watcher.look_ahead().await?);
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead.clone());
        Ok(ahead)
    }

    async fn book(&self, watcher: &Watcher) -> anyhow::Result<Arc<SubscriptionBook>> {
        if let Some(book) = self.book.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(book);
        }
        let book = watcher.subscriptions().await?;
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Some(book.clone());
        Ok(book)
    }

    async fn told(&self, watcher: &Watcher, row: &Arc<AlertRow>) -> anyhow::Result<Arc<ToldAlert>> {
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(told) = known.filter(|told| told.row == *row) {
            return Ok(told);
        }
        let alert: Alert = serde_json::from_str(&row.content)?;
        let earlier = watcher.earlier_letters(&alert).await?;
        let told = Arc::new(ToldAlert { row: row.clone(), alert, earlier });
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told.clone());
        Ok(told)
    }
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
