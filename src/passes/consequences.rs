//! What follows from a reading whose events are linked: who is told, and who knows it already. Values in, values out.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{Alert, digest_message_id, message_id};
use crate::classify::default_alert;
use crate::linking::{Told, already_told, links_to_tell};
use crate::render::{DIGEST_SUBJECT, Style, subject};
use crate::store::{AlertRow, Consequences, DigestMail, Linked, NewNotice, Released, Withheld};
use crate::subscription::{Asked, ResolvedSubscription};

/// Decides on an alert for everyone who asked for it. Nothing is withheld from those in `promised`.
pub(super) fn consequences(
    alert: &Alert,
    asked: BTreeMap<String, Asked>,
    promised: &BTreeSet<String>,
    linked: &Linked,
    subscriptions: &[ResolvedSubscription],
) -> anyhow::Result<Consequences> {
    let now = alert.read_at;
    let mut follows = Consequences::default();
    let mut told = linked.told.clone();
    if !asked.is_empty() || default_alert(&alert.events) {
        let live: Vec<Told> = told.iter().filter(|told| told.is_live).cloned().collect();
        let mut to_tell = BTreeMap::new();
        for (recipient, asked) in asked {
            match already_told(&linked.links, &live, &recipient, alert.accession, &asked.ordinals) {
                Some(told_by) if !promised.contains(&recipient) => {
                    let Asked { subscriptions, ordinals, .. } = asked;
                    follows.withheld.push(Withheld { recipient, subscriptions, ordinals, told_by });
                }
                _ => {
                    told.push(being_told(alert, &recipient, &asked.ordinals));
                    to_tell.insert(recipient, asked);
                }
            }
        }
        follows.alert = Some(alert_row(alert)?);
        follows.notices = notices(alert, to_tell);
    }
    // A filing that is read after later ones can show that what seemed one letter is two, or that a correction lay in
    // between. What a person did with the mail that told him changes nothing here.
    for (row, withheld) in &linked.withheld {
        for withheld in withheld {
            let Withheld { recipient, subscriptions: names, ordinals, .. } = withheld;
            if already_told(&linked.links, &told, recipient, row.accession, ordinals).is_some() {
                continue;
            }
            // Who has unsubscribed since is not written to.
            let own = subscriptions.iter().filter(|subscription| subscription.recipient == *recipient);
            let Some(due) = own.map(|subscription| subscription.schedule.due(now)).min() else { continue };
            // An alert that another version wrote in another form cannot be told; it must not stop the reading.
            let Ok(mut alert) = serde_json::from_str::<Alert>(&row.content) else { continue };
            alert.links = links_to_tell(&linked.links, alert.accession);
            told.push(being_told(&alert, recipient, ordinals));
            let asked = Asked { subscriptions: names.clone(), ordinals: ordinals.clone(), due };
            let row = AlertRow { created_at: row.created_at, ..alert_row(&alert)? };
            for notice in notices(&alert, BTreeMap::from([(recipient.clone(), asked)])) {
                follows.released.push(Released { alert: row.clone(), notice });
            }
        }
    }
    Ok(follows)
}

/// Alerts of the past that concern nobody, where their links are others by now: what is recorded of the past must not depend on
/// the order in which it was read.
pub(super) fn relinked(linked: &Linked) -> anyhow::Result<Vec<AlertRow>> {
    let mut rewritten = Vec::new();
    for row in &linked.untold {
        // One that another version wrote in another form stays as it is.
        let Ok(alert) = serde_json::from_str::<Alert>(&row.content) else { continue };
        let links = links_to_tell(&linked.links, alert.accession);
        if links != alert.links {
            rewritten.push(AlertRow { created_at: row.created_at, ..alert_row(&Alert { links, ..alert })? });
        }
    }
    Ok(rewritten)
}

fn being_told(alert: &Alert, recipient: &str, ordinals: &[usize]) -> Told {
    Told {
        alert: alert.id.clone(),
        recipient: recipient.to_owned(),
        accession: alert.accession,
        ordinals: ordinals.to_vec(),
        is_live: true,
    }
}

pub(super) fn alert_row(alert: &Alert) -> anyhow::Result<AlertRow> {
    let content = serde_json::to_string(alert)?;
    Ok(AlertRow { id: alert.id.clone(), accession: alert.accession, created_at: alert.read_at, content })
}

/// A notice for each recipient.
pub(super) fn notices(alert: &Alert, told: BTreeMap<String, Asked>) -> Vec<NewNotice> {
    let subject = subject(alert, Style::default());
    told.into_iter()
        .map(|(recipient, asked)| NewNotice {
            message_id: message_id(&alert.id, &recipient),
            subject: subject.clone(),
            due_at: asked.due.at,
            digest: asked.due.in_digest.then(|| DigestMail {
                message_id: digest_message_id(&alert.id, &recipient, asked.due.at),
                subject: DIGEST_SUBJECT.to_owned(),
            }),
            recipient,
            subscriptions: asked.subscriptions,
            ordinals: asked.ordinals,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{Purpose, alert_id};
    use crate::edgar::ids::FormType;
    use crate::linking::tests::any_tellings;
    use crate::linking::{Telling, link};
    use crate::subscription::{Due, Terms, WrittenSubscription};

    const DESK: &str = "desk@example.com";

    /// The alert on all that one filing tells.
    fn alert_on(filing: &[&Telling]) -> Alert {
        let Telling { event, accepted_at, .. } = filing[0];
        Alert {
            id: alert_id(event.accession, Purpose::Reading),
            purpose: Purpose::Reading,
            accession: event.accession,
            form: FormType::new("8-K"),
            filers: Vec::new(),
            ticker: None,
            items: Vec::new(),
            filing_date: event.filing_date,
            accepted_at: *accepted_at,
            seen_at: *accepted_at,
            read_at: *accepted_at,
            events: filing.iter().map(|telling| telling.told.clone()).collect(),
            links: Vec::new(),
            documents: Vec::new(),
            index_url: "https://www.example.com/".parse().expect("a URL"),
            caveats: Vec::new(),
            check_below: 0.0,
        }
    }

    fn desk() -> ResolvedSubscription {
        let terms = WrittenSubscription::default().check(&BTreeMap::new()).expect("the defaults");
        let Terms { filter, schedule, .. } = terms;
        ResolvedSubscription { id: "config:1".to_owned(), recipient: DESK.to_owned(), issuers: None, filter, schedule }
    }

    /// What a store keeps, as far as it matters here.
    #[derive(Default)]
    struct Kept {
        read: Vec<Telling>,
        told: Vec<Told>,
        withheld: Vec<(AlertRow, Vec<Withheld>)>,
    }

    impl Kept {
        fn read(&mut self, filing: &[&Telling]) {
            self.read.extend(filing.iter().copied().cloned());
            let linked = Linked {
                links: link(&self.read),
                told: self.told.clone(),
                withheld: self.withheld.clone(),
                untold: Vec::new(),
            };
            let alert = alert_on(filing);
            let ordinals: Vec<usize> = (0..filing.len()).collect();
            let due = Due { at: alert.read_at, in_digest: false };
            let asked = BTreeMap::from([(DESK.to_owned(), Asked { subscriptions: Vec::new(), ordinals, due })]);
            let follows = consequences(&alert, asked, &BTreeSet::new(), &linked, &[desk()]).expect("a decision");
            for notice in follows.notices {
                self.told.push(being_told(&alert, DESK, &notice.ordinals));
            }
            for Released { alert: row, notice } in follows.released {
                let alert: Alert = serde_json::from_str(&row.content).expect("an alert");
                self.told.push(being_told(&alert, DESK, &notice.ordinals));
                self.withheld.retain(|(withheld, _)| withheld.id != row.id);
            }
            if !follows.withheld.is_empty() {
                self.withheld.push((follows.alert.expect("an alert"), follows.withheld));
            }
        }
    }

    proptest! {
        #[test]
        fn in_any_order_of_reading_all_is_told(
            (tellings, order) in
                any_tellings().prop_flat_map(|all| (Just(all), Just((0..5).collect::<Vec<usize>>()).prop_shuffle()))
        ) {
            let mut kept = Kept::default();
            let filings: Vec<Vec<&Telling>> = tellings
                .chunk_by(|one, other| one.event.accession == other.event.accession)
                .map(|filing| filing.iter().collect())
                .collect();
            for filing in order.into_iter().filter_map(|index| filings.get(index)) {
                kept.read(filing);
            }
            let links = link(&tellings);
            for event in links.iter().map(|link| link.event) {
                let is_told = kept.told.iter().any(|told| told.accession == event.accession);
                let knows = already_told(&links, &kept.told, DESK, event.accession, &[event.ordinal]);
                prop_assert!(is_told || knows.is_some(), "{:?} of {:#?}", event, links);
            }
            // Each filing once: told or withheld.
            prop_assert_eq!(kept.told.len() + kept.withheld.len(), filings.len());
        }
    }
}
