//! The vocabulary of an event as words: what the store, the JSON output and the configuration share.

use std::fmt;

use super::{Basis, Cause, EventKind, EventStatus, Exchange, HearingStatus, NextStep};

/// Writes the words once: `as_str`, `ALL` and `Display`.
macro_rules! vocabulary {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every word of the vocabulary.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

vocabulary!(EventKind {
    StaffDetermination => "staff_determination",
    DeficiencyNotice => "deficiency_notice",
    HearingRequested => "hearing_requested",
    ExtensionGranted => "extension_granted",
    PanelDecision => "panel_decision",
    CouncilReview => "council_review",
    ComplianceRegained => "compliance_regained",
    Delisting => "delisting",
    Anticipated => "anticipated",
});

vocabulary!(EventStatus { New => "new", History => "history" });

vocabulary!(Exchange { Nasdaq => "nasdaq", Nyse => "nyse", NyseAmerican => "nyse_american", Other => "other" });

vocabulary!(Basis {
    LateFiling => "late_filing",
    BidPrice => "bid_price",
    Equity => "equity",
    MarketValue => "market_value",
    PublicFloat => "public_float",
    Governance => "governance",
    AnnualMeeting => "annual_meeting",
    PublicInterest => "public_interest",
    Fees => "fees",
    Other => "other",
});

vocabulary!(Cause {
    Restatement => "restatement",
    Investigation => "investigation",
    Auditor => "auditor",
    InternalControl => "internal_control",
    Acquisition => "acquisition",
    Liquidity => "liquidity",
    Staffing => "staffing",
    Systems => "systems",
});

vocabulary!(NextStep {
    SubmitPlan => "submit_plan",
    RequestHearing => "request_hearing",
    RequestTime => "request_time",
    FileReports => "file_reports",
    ReverseSplit => "reverse_split",
    Transfer => "transfer",
    Consider => "consider",
    NotContest => "not_contest",
});

vocabulary!(HearingStatus {
    Planned => "planned",
    Requested => "requested",
    Scheduled => "scheduled",
    Held => "held",
    Waived => "waived",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_json() {
        fn check<T: serde::Serialize + fmt::Display>(all: &[T]) {
            for word in all {
                let json = serde_json::to_string(word).expect("a word");
                assert_eq!(json, format!("\"{word}\""));
            }
        }
        check(&EventKind::ALL);
        check(&EventStatus::ALL);
        check(&Exchange::ALL);
        check(&Basis::ALL);
        check(&Cause::ALL);
        check(&NextStep::ALL);
        check(&HearingStatus::ALL);
    }
}
