//! Which letter each event is about, and who was told of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::connection::StoreConnection;
use super::outbox::{AlertRow, MessageState, Withheld};
use super::{Store, from_micros, to_micros};
use crate::agenda::News;
use crate::alert::{Purpose, alert_id};
use crate::edgar::feed::Filer;
use crate::edgar::ids::{AccessionNumber, Cik};
use crate::linking::{EventRef, Link, Telling, Told, link};

/// What the store knows of the letters that a filing tells of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Linked {
    /// The links of all events that can have to do with the filing's.
    pub links: Vec<Link>,
    /// Who was told of the other filings.
    pub told: Vec<Told>,
    /// The other filings' alerts that were withheld, and from whom.
    pub withheld: Vec<(AlertRow, Vec<Withheld>)>,
    /// The other filings' alerts that concern nobody: recorded, told to no one and withheld from no one.
    pub untold: Vec<AlertRow>,
}

impl Store {
    /// Links the new events of a filing, just written, to those of all filings of the same issuers, and writes the
    /// links of all of them anew. The result depends on what is stored, not on the filing that was written last.
    pub(super) async fn link_events(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
    ) -> anyhow::Result<Linked> {
        let tellings = self.related_tellings(connection, accession).await?;
        let links = link(&tellings);
        for link in &links {
            self.write_link(connection, link).await?;
        }
        let others: BTreeSet<AccessionNumber> =
            links.iter().map(|link| link.event.accession).filter(|other| *other != accession).collect();
        let mut linked = Linked { links, ..Linked::default() };
        for other in others {
            let alert = alert_id(other, Purpose::Reading);
            let told = self.told_by(connection, other, &alert).await?;
            let withheld = self.read_withheld(connection, &alert).await?;
            if (told.is_empty() || !withheld.is_empty())
                && let Some(row) = self.read_alert(connection, &alert).await?
            {
                if withheld.is_empty() {
                    linked.untold.push(row);
                } else {
                    linked.withheld.push((row, withheld));
                }
            }
            linked.told.extend(told);
        }
        Ok(linked)
    }

    /// The new events of a filing and of every other one that can be linked to them: those that share a filer with it,
    /// and those that share one with these. All of them, however old: a part would be linked otherwise than the whole.
    async fn related_tellings(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
    ) -> anyhow::Result<Vec<Telling>> {
        type Row = (i64, i64, String, i64, String);
        let own: Vec<(i64,)> = sqlx::query_as("SELECT cik FROM filers WHERE accession = $1")
            .bind(accession.as_i64())
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "read filers"))?;
        let mut to_ask: Vec<i64> = own.into_iter().map(|(cik,)| cik).collect();
        let mut asked: BTreeSet<i64> = BTreeSet::new();
        let mut filers: BTreeMap<AccessionNumber, BTreeSet<Cik>> = BTreeMap::new();
        let mut tellings: BTreeMap<EventRef, Telling> = BTreeMap::new();
        while let Some(cik) = to_ask.pop() {
            if !asked.insert(cik) {
                continue;
            }
            let rows: Vec<(i64, i64)> = sqlx::query_as(
                "SELECT DISTINCT shared.accession, shared.cik FROM filers
                 JOIN events ON events.accession = filers.accession AND events.status = 'new'
                 JOIN filers AS shared ON shared.accession = filers.accession
                 WHERE filers.cik = $1",
            )
            .bind(cik)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "read an issuer's filings"))?;
            for (accession, cik) in rows {
                to_ask.push(cik);
                if let Some(accession) = AccessionNumber::from_i64(accession) {
                    filers.entry(accession).or_default().extend(Cik::from_i64(cik));
                }
            }
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT events.accession, events.ordinal, filings.filing_date, filings.accepted_at, events.details
                 FROM filers
                 JOIN events ON events.accession = filers.accession AND events.status = 'new'
                 JOIN filings ON filings.accession = filers.accession
                 WHERE filers.cik = $1",
            )
            .bind(cik)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "read an issuer's events"))?;
            for (accession, ordinal, filing_date, accepted_at, details) in rows {
                let Some(event) = event_ref(accession, ordinal, &filing_date) else { continue };
                // An event that another version wrote in another form stands alone; it must not stop the reading.
                let Ok(told) = serde_json::from_str(&details) else {
                    let accession = event.accession;
                    tracing::warn!(%accession, "filing {accession}: event {ordinal} is not understood: not linked");
                    continue;
                };
                let ciks = BTreeSet::new();
                tellings.insert(event, Telling { event, accepted_at: from_micros(accepted_at), ciks, told });
            }
        }
        for telling in tellings.values_mut() {
            telling.ciks = filers.get(&telling.event.accession).cloned().unwrap_or_default();
        }
        Ok(tellings.into_values().collect())
    }

    async fn write_link(&self, connection: &mut StoreConnection, link: &Link) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO letters (accession, ordinal, letter_accession, letter_ordinal, relation, details)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (accession, ordinal) DO UPDATE SET
                letter_accession = excluded.letter_accession, letter_ordinal = excluded.letter_ordinal,
                relation = excluded.relation, details = excluded.details",
        )
        .bind(link.event.accession.as_i64())
        .bind(i64::try_from(link.event.ordinal).unwrap_or(i64::MAX))
        .bind(link.letter.accession.as_i64())
        .bind(i64::try_from(link.letter.ordinal).unwrap_or(i64::MAX))
        .bind(link.relation.as_str().to_owned())
        .bind(serde_json::to_string(link)?)
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "link an event"))?;
        Ok(())
    }

    /// Who was told of a filing that was read.
    async fn told_by(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
        alert: &str,
    ) -> anyhow::Result<Vec<Told>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT notices.recipient, notices.events, messages.state FROM notices
             JOIN messages ON messages.id = notices.message
             WHERE notices.alert = $1 AND notices.events IS NOT NULL
             ORDER BY notices.recipient",
        )
        .bind(alert.to_owned())
        .fetch_all(connection)
        .await
        .map_err(|error| self.failed(&error, "read who was told"))?;
        rows.into_iter()
            .map(|(recipient, ordinals, state)| {
                Ok(Told {
                    alert: alert.to_owned(),
                    recipient,
                    accession,
                    ordinals: serde_json::from_str(&ordinals)?,
                    is_live: matches!(MessageState::parse(&state), MessageState::Waiting | MessageState::Sent),
                })
            })
            .collect()
    }

    /// What an issuer told that was new in filings accepted before an instant, in the order of their acceptance: of each
    /// letter the first telling, and of all tellings the last `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters_of(&self, issuer: Cik, before: DateTime<Utc>, limit: usize) -> anyhow::Result<Vec<News>> {
        type Row = (i64, i64, String, String, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT letters.letter_accession, letters.letter_ordinal, filings.filing_date, events.details, filers.name
             FROM filers
             JOIN filings ON filings.accession = filers.accession AND filings.accepted_at < $2
             JOIN events ON events.accession = filings.accession AND events.status = 'new'
             JOIN letters ON letters.accession = events.accession AND letters.ordinal = events.ordinal
             WHERE filers.cik = $1
             ORDER BY filings.accepted_at DESC, events.accession DESC, events.ordinal DESC LIMIT $3",
        )
        .bind(issuer.as_i64())
        .bind(to_micros(before))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read an issuer's letters"))?;
        let mut letters: Vec<News> = Vec::new();
        for (accession, ordinal, filing_date, details, name) in rows.into_iter().rev() {
            let Some(letter) = event_ref(accession, ordinal, &filing_date) else { continue };
            let is_told = letters
                .iter()
                .any(|told| (told.letter.accession, told.letter.ordinal) == (letter.accession, letter.ordinal));
            // An event that another version wrote in another form is passed over.
            if let Ok(event) = serde_json::from_str(&details)
                && !is_told
            {
                letters.push(News { letter, filers: vec![Filer { cik: issuer, name }], event });
            }
        }
        Ok(letters)
    }

    /// What filings dated from a day on told that was new, in the order of their acceptance.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn news_since(&self, since: NaiveDate) -> anyhow::Result<Vec<News>> {
        type Row = (i64, i64, i64, String, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT events.accession, letters.letter_accession, letters.letter_ordinal, filings.filing_date, events.details
             FROM filings
             JOIN events ON events.accession = filings.accession AND events.status = 'new'
             JOIN letters ON letters.accession = events.accession AND letters.ordinal = events.ordinal
             WHERE filings.filing_date >= $1
             ORDER BY filings.accepted_at, events.accession, events.ordinal",
        )
        .bind(since.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the news"))?;
        let filers: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT DISTINCT filers.accession, filers.cik, filers.name FROM filings
             JOIN events ON events.accession = filings.accession AND events.status = 'new'
             JOIN filers ON filers.accession = filings.accession
             WHERE filings.filing_date >= $1 ORDER BY filers.accession, filers.cik",
        )
        .bind(since.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the news"))?;
        let mut by_filing: BTreeMap<i64, Vec<Filer>> = BTreeMap::new();
        for (accession, cik, name) in filers {
            by_filing.entry(accession).or_default().extend(Cik::from_i64(cik).map(|cik| Filer { cik, name }));
        }
        let news = rows.into_iter().filter_map(|(accession, letter, ordinal, filing_date, details)| {
            Some(News {
                letter: event_ref(letter, ordinal, &filing_date)?,
                filers: by_filing.get(&accession).cloned().unwrap_or_default(),
                // An event that another version wrote in another form has no date to tell.
                event: serde_json::from_str(&details).ok()?,
            })
        });
        Ok(news.collect())
    }

    /// The links of a filing's new events as they stand, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn links_of(&self, accession: AccessionNumber) -> anyhow::Result<Vec<Link>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT details FROM letters WHERE accession = $1 ORDER BY ordinal")
            .bind(accession.as_i64())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read links"))?;
        rows.iter().map(|(details,)| Ok(serde_json::from_str(details)?)).collect()
    }
}

fn event_ref(accession: i64, ordinal: i64, filing_date: &str) -> Option<EventRef> {
    Some(EventRef {
        accession: AccessionNumber::from_i64(accession)?,
        ordinal: usize::try_from(ordinal).ok()?,
        filing_date: filing_date.parse::<NaiveDate>().unwrap_or_default(),
    })
}
