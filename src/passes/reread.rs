//! What an older version read is read again, from the texts in the store: no filing is fetched and nobody is mailed.

use super::consequences::alert_row;
use super::{PassError, Watcher};
use crate::alert::{Alert, Purpose, alert_id};
use crate::classify::{
    CLASSIFIER_VERSION, DocumentContext, EventStatus, ListingEvent, classify, default_alert, merge_documents,
};
use crate::edgar::ids::AccessionNumber;
use crate::store::StoredDocument;

/// What reading a filing again changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reread {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its filers, in words.
    pub name: String,
    /// What was read before.
    pub before: Vec<ListingEvent>,
    /// What is read now.
    pub after: Vec<ListingEvent>,
    /// The alert that it would have raised, and that nobody was told of.
    pub alert: Option<String>,
}

impl Watcher {
    /// Reads filings again and keeps what is read now. `None` for one that reads as before.
    ///
    /// # Errors
    /// [`PassError`] when the store fails; names a filing that was never read.
    pub async fn reread(&self, accession: AccessionNumber) -> Result<Option<Reread>, PassError> {
        let Some(queued) = self.store.filing(accession).await? else {
            return Err(PassError::Unknown(format!("filing {accession} is not in the store")));
        };
        let documents = self.store.documents(accession).await?;
        let before = self.store.events(accession).await?;
        let context = DocumentContext {
            form: Some(queued.form.as_str()),
            document_type: None,
            filed: Some(queued.filing_date),
            issuer: queued.filers.first().map(|filer| filer.name.as_str()),
            patterns: &self.settings.reading.patterns,
        };
        let per_document: Vec<Vec<ListingEvent>> =
            documents.iter().map(|document| read_stored(document, &context)).collect();
        let after = merge_documents(&per_document);
        let is_told = self.store.alert(&alert_id(accession, Purpose::Reading)).await?.is_some();
        let is_news = default_alert(&after) && !is_told;
        let alert = if is_news { Some(self.late_alert(&queued, &after).await?) } else { None };
        let row = alert.as_ref().map(alert_row).transpose()?;
        let same = before == after;
        self.store.replace_events(accession, &after, CLASSIFIER_VERSION, row.as_ref()).await?;
        let name = queued.filers.iter().map(|filer| filer.name.as_str()).collect::<Vec<_>>().join(", ");
        Ok((!same).then(|| Reread { accession, name, before, after, alert: alert.map(|alert| alert.id) }))
    }

    async fn late_alert(
        &self,
        queued: &crate::store::QueuedFiling,
        events: &[ListingEvent],
    ) -> Result<Alert, PassError> {
        let watchlist = self.resolve_watchlist().await?;
        let mut alert = self.bare_alert(&watchlist, queued, Purpose::Reading, self.clock.now());
        alert.events = events.to_vec();
        Ok(alert)
    }
}

fn read_stored(document: &StoredDocument, filing: &DocumentContext) -> Vec<ListingEvent> {
    let Some(text) = &document.text else { return Vec::new() };
    let kind = Some(document.document_type.as_str()).filter(|name| !name.is_empty());
    let mut events = classify(text, &DocumentContext { document_type: kind, ..*filing }).events;
    for evidence in events.iter_mut().flat_map(|event| &mut event.evidence) {
        evidence.document = kind.map(str::to_owned);
    }
    events
}

/// The new events of a reading in a few words, for a person.
pub fn describe_news(events: &[ListingEvent]) -> String {
    let news: Vec<String> = events
        .iter()
        .filter(|event| event.status == EventStatus::New)
        .map(|event| {
            let day = event.letter_date.map(|day| format!(" of {day}")).unwrap_or_default();
            format!("{} {}{day}", event.exchange, event.kind)
        })
        .collect();
    if news.is_empty() { "no news".to_owned() } else { news.join(", ") }
}
