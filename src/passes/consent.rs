//! The mails by which an address agrees: to a subscription, and to whoever wants to see what it subscribes to.

use chrono::{DateTime, Utc};

use crate::alert::consent_message_id;
use crate::config::Settings;
use crate::links::{CONFIRM_WITHIN, Links, PREFERENCES_WITHIN};
use crate::mail::{Basics, ListMail, build_list_mail, sign};
use crate::render::{Body, Line, Section, render_html, render_text};
use crate::store::{NewSubscription, OnceMail};

/// The mail that asks an address to confirm a subscription, where there is a page to confirm it on.
pub fn confirmation_mail(
    settings: &Settings,
    links: &Links<'_>,
    subscription: &NewSubscription,
    now: DateTime<Utc>,
) -> Option<anyhow::Result<OnceMail>> {
    let page = links.confirm(&subscription.id, now)?;
    let body = Body {
        headline: "Confirm your subscription to EDGAR Watch".to_owned(),
        preheader: subscription.written.summary(),
        sections: vec![Section {
            title: String::new(),
            lines: vec![
                Line::Plain("Somebody, most likely you, asked for listing notices to this address:".to_owned()),
                Line::Fact("Wanted".to_owned(), subscription.written.summary()),
                Line::Plain(format!(
                    "To get them, open this page within {} days and confirm:",
                    CONFIRM_WITHIN.num_days()
                )),
                Line::Action("Confirm".to_owned(), page),
                Line::Plain("If you did not ask for this, do nothing. Nothing more is sent to you.".to_owned()),
            ],
        }],
    };
    let subject = "[edgar-watch] Confirm your subscription";
    Some(consent_mail(settings, &format!("confirm:{}", subscription.id), &subscription.address, subject, &body, now))
}

/// The mail that leads the owner of an address to its subscriptions, where there is a page for them. It is sent once a
/// `matter`.
pub fn preferences_mail(
    settings: &Settings,
    links: &Links<'_>,
    address: (&str, i64),
    matter: &str,
    now: DateTime<Utc>,
) -> Option<anyhow::Result<OnceMail>> {
    let page = links.preferences(address.1, now)?;
    let days = PREFERENCES_WITHIN.num_days();
    let body = Body {
        headline: "Your subscriptions to EDGAR Watch".to_owned(),
        preheader: "See, change or end them".to_owned(),
        sections: vec![Section {
            title: String::new(),
            lines: vec![
                Line::Plain(format!("See, change or end them on this page. The link works for {days} days:")),
                Line::Action("Change your subscriptions".to_owned(), page),
                Line::Plain("If you did not ask for this, do nothing. Nothing has changed.".to_owned()),
            ],
        }],
    };
    Some(consent_mail(settings, matter, address.0, "[edgar-watch] Your subscriptions", &body, now))
}

fn consent_mail(
    settings: &Settings,
    matter: &str,
    recipient: &str,
    subject: &str,
    body: &Body,
    now: DateTime<Utc>,
) -> anyhow::Result<OnceMail> {
    let message_id = consent_message_id(matter, recipient);
    let basics = Basics { from: &settings.mail.from, to: recipient, subject, message_id: &message_id, date: now };
    let mail = ListMail { text: render_text(body), html: render_html(body), ..ListMail::default() };
    Ok(OnceMail {
        fact: matter.to_owned(),
        recipient: recipient.to_owned(),
        subject: subject.to_owned(),
        bytes: sign(&build_list_mail(&basics, mail)?, &settings.mail.dkim, now)?,
        message_id,
    })
}
