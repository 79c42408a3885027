//! How well documents are read: readings held against labels. Pure; reading the documents is left to the caller.
//!
//! ```text
//! matching    which found event answers which labelled one
//! scores      the counts over many records, and their table
//! mistakes    each single thing that went wrong, with the sentence that misled
//! measures    precision, recall, F1 and their 95% intervals
//! thresholds  what the scores must reach
//! ```

mod matching;
mod measures;
mod mistakes;
mod scores;
mod thresholds;

use crate::classify::{EventStatus, ListingEvent, Reading};
use crate::corpus::{LabelledEvent, LabelledRecord};

pub use measures::{Counts, Estimate, Share};
pub use mistakes::{Mistake, MistakeKind};
pub use scores::{Deadlines, Field, Fields, Scores};
pub use thresholds::{KindF1, Thresholds};

/// The readings of many records, held against their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// The counts.
    pub scores: Scores,
    /// What went wrong, record by record.
    pub mistakes: Vec<Mistake>,
}

impl Evaluation {
    /// Holds one more reading against its label. `None` stands for a reading that broke off; it counts as one that
    /// found nothing, and as unread.
    pub fn add(&mut self, labelled: &LabelledRecord, reading: Option<&Reading>) {
        let nothing = Reading::default();
        let comparison = Comparison::new(labelled, reading.unwrap_or(&nothing));
        self.scores.add(&comparison);
        self.scores.n_unread += usize::from(reading.is_none());
        if reading.is_none() {
            self.mistakes.push(Mistake::unread(labelled));
        }
        self.mistakes.extend(mistakes::find(&comparison));
    }
}

/// One reading beside its label.
struct Comparison<'a> {
    labelled: &'a LabelledRecord,
    reading: &'a Reading,
    /// What the label wants and the reading has.
    matched: Vec<(&'a LabelledEvent, &'a ListingEvent)>,
    /// What the reading lacks.
    missed: Vec<&'a LabelledEvent>,
    /// New events that the label does not want.
    spurious: Vec<&'a ListingEvent>,
}

impl<'a> Comparison<'a> {
    fn new(labelled: &'a LabelledRecord, reading: &'a Reading) -> Self {
        let wanted = &labelled.label.events;
        let found: Vec<&ListingEvent> =
            reading.events.iter().filter(|event| event.status == EventStatus::New).collect();
        let pairs = matching::match_events(wanted, &found);
        let missed = wanted.iter().enumerate().filter(|(w, _)| pairs.iter().all(|(other, _)| other != w));
        let spurious = found.iter().enumerate().filter(|(f, _)| pairs.iter().all(|(_, other)| other != f));
        Self {
            labelled,
            reading,
            missed: missed.map(|(_, event)| event).collect(),
            spurious: spurious.map(|(_, event)| *event).collect(),
            matched: pairs.iter().map(|(w, f)| (&wanted[*w], found[*f])).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
