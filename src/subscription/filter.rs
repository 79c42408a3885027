//! Which news a subscription asks for.

use crate::classify::{Basis, EventKind, EventStatus, Exchange, ListingEvent, default_alert};

/// Which kinds of news a subscription asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindFilter {
    /// The default alert.
    Default,
    /// The default alert, and these kinds.
    DefaultOr(Vec<EventKind>),
    /// These kinds.
    Of(Vec<EventKind>),
    /// Every kind.
    Any,
}

/// Which news a subscription asks for. A part that is `None` does not filter.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionFilter {
    /// By kind.
    pub kinds: KindFilter,
    /// By basis: at least one of these.
    pub bases: Option<Vec<Basis>>,
    /// By exchange.
    pub exchanges: Option<Vec<Exchange>>,
    /// By how sure the reading is: at least so sure. From 0 to 1.
    pub min_confidence: f64,
}

impl SubscriptionFilter {
    /// Whether an event is asked for. History never is.
    pub fn matches(&self, event: &ListingEvent) -> bool {
        let by_default = || default_alert(std::slice::from_ref(event));
        let kind = match &self.kinds {
            KindFilter::Default => by_default(),
            KindFilter::DefaultOr(kinds) => by_default() || kinds.contains(&event.kind),
            KindFilter::Of(kinds) => kinds.contains(&event.kind),
            KindFilter::Any => true,
        };
        event.status == EventStatus::New
            && kind
            && self.bases.as_ref().is_none_or(|bases| event.bases.iter().any(|basis| bases.contains(basis)))
            && self.exchanges.as_ref().is_none_or(|exchanges| exchanges.contains(&event.exchange))
            && event.confidence >= self.min_confidence
    }
}
