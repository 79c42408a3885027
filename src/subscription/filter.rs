//! Which news a subscription asks for.

use crate::classify::{Basis, EventKind, EventStatus, Exchange, HIGHEST_CONFIDENCE, ListingEvent, default_alert};

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

    /// Whether any news at all is asked for, of whatever kind, exchange and basis there is.
    pub fn can_match(&self) -> bool {
        EventKind::ALL.into_iter().any(|kind| {
            Exchange::ALL.into_iter().any(|exchange| {
                Basis::ALL.into_iter().any(|basis| {
                    let news = ListingEvent::bare(kind, EventStatus::New, exchange);
                    let news = ListingEvent { bases: vec![basis], confidence: HIGHEST_CONFIDENCE, ..news };
                    self.matches(&news)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_can_match_is_known() {
        let all = SubscriptionFilter { kinds: KindFilter::Any, bases: None, exchanges: None, min_confidence: 0.0 };
        assert!(all.can_match());
        let default = SubscriptionFilter { kinds: KindFilter::Default, ..all.clone() };
        assert!(default.can_match());
        let nyse = Some(vec![Exchange::Nyse]);
        assert!(
            !SubscriptionFilter { exchanges: nyse.clone(), ..default.clone() }.can_match(),
            "the default is Nasdaq's"
        );
        assert!(SubscriptionFilter { exchanges: nyse, ..all.clone() }.can_match());
        let bid_price = Some(vec![Basis::BidPrice]);
        assert!(SubscriptionFilter { bases: bid_price, ..default }.can_match(), "a determination on any basis");
        assert!(SubscriptionFilter { min_confidence: HIGHEST_CONFIDENCE, ..all.clone() }.can_match());
        assert!(!SubscriptionFilter { min_confidence: 0.99, ..all.clone() }.can_match());
        assert!(!SubscriptionFilter { bases: Some(Vec::new()), ..all }.can_match());
    }
}
