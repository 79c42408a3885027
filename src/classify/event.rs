//! What is found in a document: the vocabulary and the fields of an event.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// What an exchange, or a company before it, did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Staff determined to delist or suspend, or adds a basis for delisting.
    StaffDetermination,
    /// Non-compliance without a determination.
    DeficiencyNotice,
    /// The company asked, or will ask, for a hearing.
    HearingRequested,
    /// Staff, panel or council gave time.
    ExtensionGranted,
    /// A hearings panel decided.
    PanelDecision,
    /// The Listing Council took a decision up, stayed or remanded it.
    CouncilReview,
    /// The exchange found compliance regained.
    ComplianceRegained,
    /// A suspension or delisting takes effect.
    Delisting,
    /// A notice is only expected.
    Anticipated,
}

/// Whether an event is the document's own news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// The document's own news.
    New,
    /// Retold.
    History,
}

/// Whose listing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Any tier of The Nasdaq Stock Market.
    #[default]
    Nasdaq,
    /// The New York Stock Exchange.
    Nyse,
    /// NYSE American, formerly AMEX and NYSE MKT.
    NyseAmerican,
    /// Anything else.
    Other,
}

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A periodic report not filed in time.
    LateFiling,
    /// The minimum bid or closing price.
    BidPrice,
    /// Stockholders' equity, assets or income.
    Equity,
    /// Market value of listed securities.
    MarketValue,
    /// Publicly held shares, their value, or holders.
    PublicFloat,
    /// Independence, committees, shareholder approval.
    Governance,
    /// The annual meeting or its proxies.
    AnnualMeeting,
    /// Discretionary powers: bankruptcy, shells, concerns.
    PublicInterest,
    /// Listing fees.
    Fees,
    /// Anything else.
    Other,
}

/// A report that is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OverdueReport {
    /// `10-K`, `10-Q` ...
    pub form: String,
    /// The last day of the period it covers, where the text tells.
    pub period_end: Option<NaiveDate>,
}

/// Words of the document that show an event; `start` and `end` count Unicode scalar values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// The words.
    pub text: String,
    /// The pattern that found them.
    pub pattern: String,
    /// The type of the document it stands in, once documents are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// What happens at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// A plan to regain compliance.
    Plan,
    /// Compliance itself.
    Compliance,
    /// The request for a hearing.
    HearingRequest,
    /// Trading is suspended.
    Suspension,
    /// Anything else.
    Other,
}

/// Whether the text gives a date or the rules do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineSource {
    /// The text gives it.
    Stated,
    /// The rules give it.
    Derived,
}

/// A date by which something is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// What is due.
    pub what: DeadlineKind,
    /// When.
    pub date: NaiveDate,
    /// The later end where practice counts in more than one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_latest: Option<NaiveDate>,
    /// Who says so.
    pub source: DeadlineSource,
    /// The rule a derived date follows from, `5815(a)(1)`; a stated one needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The day a derived date counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<NaiveDate>,
    /// What a derived date is, where its kind alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Deadline {
    /// A date that the text gives.
    pub fn stated(what: DeadlineKind, date: NaiveDate) -> Self {
        Self { what, date, date_latest: None, source: DeadlineSource::Stated, rule: None, anchor: None, about: None }
    }
}

/// Why a report is late or a requirement missed, as the company tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Earlier figures are restated or not to be relied on.
    Restatement,
    /// An inquiry by a committee, counsel or an authority.
    Investigation,
    /// The auditor left, is new, barred or not done.
    Auditor,
    /// Weak internal control over financial reporting.
    InternalControl,
    /// An acquisition, merger or separation has to be accounted for.
    Acquisition,
    /// Too little cash to go on or to pay for the audit.
    Liquidity,
    /// People in finance left or are missing.
    Staffing,
    /// A system failed, moved or was attacked.
    Systems,
}

/// What the company says it will do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// Send Nasdaq a plan.
    SubmitPlan,
    /// Ask for a hearing or appeal.
    RequestHearing,
    /// Ask for more time, or for a stay to last.
    RequestTime,
    /// File the missing reports.
    FileReports,
    /// Bring the price up by a reverse split.
    ReverseSplit,
    /// Move to another tier or market.
    Transfer,
    /// Watch, and consider what can be done.
    Consider,
    /// Let the delisting take its course.
    NotContest,
}

/// How far a hearing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HearingStatus {
    /// The company says it will ask.
    Planned,
    /// It has asked.
    Requested,
    /// A day is set.
    Scheduled,
    /// It took place.
    Held,
    /// The company will not ask, or has taken its request back.
    Waived,
}

/// A hearing before a panel, as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// How far it has come.
    pub status: HearingStatus,
    /// The day it is set for, or was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
}

/// One thing that speaks for or against a reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeighedSignal {
    /// What it is, in words.
    pub signal: String,
    /// In log-odds; below zero it speaks against.
    pub weight: f64,
}

/// The reading that came second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerUp {
    /// What it would have been.
    pub kind: EventKind,
    /// New or retold.
    pub status: EventStatus,
    /// How sure one could have been of it, from 0 to 1.
    pub confidence: f64,
    /// What would have spoken for it.
    pub reason: String,
}

/// What a document reports about a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListingEvent {
    /// What was done.
    pub kind: EventKind,
    /// New or retold.
    pub status: EventStatus,
    /// Whose listing.
    pub exchange: Exchange,
    /// What it is about, the first is the main one.
    pub bases: Vec<Basis>,
    /// The day the letter arrived, else the day it bears.
    pub letter_date: Option<NaiveDate>,
    /// The day the letter arrived.
    pub received: Option<NaiveDate>,
    /// The day the letter bears.
    pub dated: Option<NaiveDate>,
    /// The rules it rests on, in one form: `5250(c)(1)`.
    pub rules: Vec<String>,
    /// The reports it is about.
    pub reports: Vec<OverdueReport>,
    /// What is due when.
    pub deadlines: Vec<Deadline>,
    /// The letter adds to an earlier one.
    pub additional: bool,
    /// The company had expected the letter.
    pub expected: bool,
    /// How far a hearing about it has come, where the text tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hearing: Option<Hearing>,
    /// What the company says it will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_steps: Vec<NextStep>,
    /// Why it came to this, as the company tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How sure the reading is, from 0 to 1.
    pub confidence: f64,
    /// What speaks for and against it; `confidence` is their sum as a probability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<WeighedSignal>,
    /// The reading that came second, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<RunnerUp>,
    /// The words that show it.
    pub evidence: Vec<Evidence>,
    /// Why the event counts as new or retold.
    pub reason: String,
}

impl ListingEvent {
    /// An event of which no more is known than what was done to whose listing.
    pub fn bare(kind: EventKind, status: EventStatus, exchange: Exchange) -> Self {
        Self {
            kind,
            status,
            exchange,
            bases: Vec::new(),
            letter_date: None,
            received: None,
            dated: None,
            rules: Vec::new(),
            reports: Vec::new(),
            deadlines: Vec::new(),
            additional: false,
            expected: false,
            hearing: None,
            next_steps: Vec::new(),
            causes: Vec::new(),
            confidence: 0.0,
            signals: Vec::new(),
            runner_up: None,
            evidence: Vec::new(),
            reason: String::new(),
        }
    }
}
