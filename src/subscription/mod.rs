//! Who gets what: what a subscription asks for, as written and as checked, and which mail follows from it. Values in,
//! values out.

mod filter;
mod issuers;
mod matching;
mod schedule;
mod terms;

pub use filter::{KindFilter, SubscriptionFilter};
pub use issuers::IssuerKey;
pub(crate) use issuers::check_issuers;
pub use matching::{Asked, ResolvedSubscription, recipients};
pub use schedule::{Delivery, Due, QuietHours, Schedule};
pub use terms::{Terms, WrittenSubscription};

/// Where a subscription comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A `[[subscription]]` of the configuration: it ends when it leaves the file.
    Config,
    /// The command line.
    Cli,
    /// The subscriber, on the web.
    Web,
}

impl Origin {
    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Cli => "cli",
            Self::Web => "web",
        }
    }

    /// The origin that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Config, Self::Cli, Self::Web].into_iter().find(|origin| origin.as_str() == word)
    }
}

impl Subscription {
    /// What it is, for its subscriber. Only those of a configuration have a name that says something.
    pub fn describe(&self) -> String {
        let summary = self.written.summary();
        if self.id.starts_with(CONFIGURED) { format!("{} ({summary})", self.id) } else { summary }
    }
}

/// What ids begin with of subscriptions that a configuration has.
pub(crate) const CONFIGURED: &str = "config:";

/// One subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Stands for it in the store and in mails: `config:` and its name or place in the file, or letters and digits.
    pub id: String,
    /// Who is mailed, in lower case: addresses that differ in case alone are one.
    pub address: String,
    /// The address's number in the store; 0 before it is there.
    pub address_id: i64,
    /// What for, and when, as written; its `email` and `name` are absent.
    pub written: WrittenSubscription,
    /// The same, checked.
    pub terms: Terms,
}
