//! Reads single sentences: which exchange they speak of, which dates they hold and what each date is for.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::matcher::Matcher;
use chrono::NaiveDate;

use super::addressee::Names;
use super::dates::{DateMention, find_dates, find_dates_after, head, tail};
use super::phrases::{Cue, Signal, find_cues};
use super::reports::{ReportMention, find_periods, find_reports, is_period_end, names_period};
use super::rules::{Citation, find_rules};
use super::segment::{Segmented, Sentence, Zone};
use super::{DocumentContext, Exchange};

/// What a date in a notice is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The day a letter or decision came.
    Received,
    /// The day a letter or decision bears.
    Dated,
    /// A time by which something is due.
    Deadline,
    /// End of a fiscal period.
    Period,
    /// The company's own filings, releases and meetings, and everything else.
    Other,
}

#[derive(Debug, Clone)]
pub struct RoleDate {
    pub mention: DateMention,
    pub role: Role,
}

/// A sentence with all that was read in it; offsets inside are bytes of the sentence.
#[derive(Debug, Clone)]
pub struct Reading<'p> {
    pub range: Range<usize>,
    pub paragraph: usize,
    pub zone: Zone,
    pub text: String,
    pub exchange: Exchange,
    /// The sentence itself names it, by its name, a body of it or a rule.
    pub names_exchange: bool,
    /// The sentence itself, or the text it goes on from, speaks of an exchange; if not, only a paragraph beside it does.
    pub in_context: bool,
    /// The letter went to another company.
    pub foreign: bool,
    pub cues: Vec<Cue<'p>>,
    pub dates: Vec<RoleDate>,
    pub rules: Vec<Citation>,
    pub reports: Vec<ReportMention>,
}

impl Reading<'_> {
    pub fn has(&self, signal: Signal) -> bool {
        self.cues.iter().any(|c| c.signal == signal)
    }

    pub fn letter_dates(&self) -> impl Iterator<Item = &RoleDate> {
        self.dates.iter().filter(|d| matches!(d.role, Role::Received | Role::Dated))
    }
}

pattern!(
    DIRECT,
    r"(?i)\b(?:nasdaq|listings? qualifications|hearings? panel|listing (?:and hearing )?(?:review )?council|nyse|new york stock exchange|american stock exchange|amex\b|staff determination|delist\w*|listing rule|marketplace rule)"
);
pattern!(NYSE_AMERICAN, r"(?i)\b(?:nyse (?:american|mkt|amex|alternext)|american stock exchange|amex\b|company guide)");
pattern!(NYSE, r"(?i)\b(?:nyse|new york stock exchange|listed company manual)");
pattern!(
    NASDAQ,
    r"(?i)\b(?:nasdaq|listings? qualifications|hearings panel|listing (?:and hearing )?(?:review )?council|staff determination|marketplace rule)"
);
pattern!(
    OTHER_EXCHANGE,
    r"(?i)\b(?:toronto stock exchange|tsx|venture exchange|munich stock exchange|frankfurt stock exchange|swiss exchange|australian securities exchange|oslo stock exchange|vienna stock exchange|cboe|bats|london stock exchange|euronext (?:paris|amsterdam) (?:has|notified)|otcqb|otcqx|otc markets group|chicago stock exchange|nyse arca)\b"
);
pattern!(
    GOES_ON,
    r"(?i)\b(?:staff|panel|council|exchange|letters?|notices?|notifications?|determinations?|decisions?|ruling|notified|informed|told|hearing|appeal|delist\w*|plan|exception|compliance|suspen\w+|anticipates?|expects?|10-[kq]|20-f)\b|\brule \d{4}\b"
);
pattern!(BULLET, r"^[\s*\-\x{2022}\x{b7}o]*(?:\(?[ivx\d]{1,4}[).])?\s*(?:on\s)?$");
pattern!(POINT, r"^\s*(?:[*\-\x{2022}\x{b7}\x{25cf}\x{2013}]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s)");
pattern!(
    DEADLINE_BEFORE,
    r"(?i)\b(?:until|by|before|no later than|not later than|as late as|no further than|not beyond|not past|no longer than|up to and including|later than|earlier than|on or before|on or about|on or prior to|through|instead of|rather than|in place of|prior to|deadline of|up to|to|after|since|from|between|till|than|effective|effect|opening of business|open of business|opening of trading|open of trading|at the open|opening|(?:set|scheduled|slated) for|as of|runs? (?:out )?(?:to|on)|extends? to|lapse on|expires?|expired|ends?|ended|beginning|begins?|starting|start of business|that is|that is to say|i\.e|or|commencement of trading|is|will be|would be|would then be|take place|takes? effect)(?:,)?(?: on| of| or about| at)?(?: or before)?(?: (?:\d{1,2}:\d\d|\d{1,2}) ?[ap]\.?m\.?,?(?: \(?(?:new york|eastern|et|edt|est)(?: city)?(?: (?:standard|daylight))?(?: time)?\)?)?,?)?(?: on)?(?: today| tomorrow)?,?(?: next| (?:the )?close of business(?: on)?| the opening)?(?: (?:mon|tues|wednes|thurs|fri|satur|sun)day)?,?\s*$"
);
pattern!(
    FILING_BEFORE,
    r"(?i)(?:\b(?:forms? (?:8-?k|10-?[kq]\w*|20-?f|12b-?25|nt 10-?[kq]|s-\d|6-?k|25)(?:/a)?|current reports?|quarterly reports?|annual reports?|proxy statement|prospectus|agreement|amendment|indenture|warrant|plan)(?:,? (?:on form (?:8|10|6)-?[kq](?:/a)?|the company|it|we|which was|was|were|that was|had been|has been))*(?: of| dated| (?:filed|issued|submitted|furnished|made|announced|disclosed|reported|released|delivered|supplemented)(?: with (?:the )?(?:sec|securities and exchange commission|nasdaq|commission))?(?: by [\w ,.]{2,50})?(?: on| in)?)?(?: or about)?(?: \w+day,?)?\s*$|\bfiling(?: of [^,;]{0,50})? on(?: or about)?\s*$|\bnotification of late filing\b[^.;]{0,90}\bon\s*$|\b(?:resignations?|departures?|deaths?|dismissals?|appointments?|retirements?|elections?)\b[^;]{0,60}\bon(?: or about)?\s*$|\b(?:press releases?|news release|releases?|offering|announcement|resignation|order|hearing|meeting|acquisition|restatement|conference call)(?: (?:was |were |is )?(?:filed|dated|of|issued|held|made|announced|scheduled|set))?(?: on| of| dated| in)?(?: or about)?(?: \w+day,?)?\s*$|\b(?:filed|submitted|announced|disclosed|reported|furnished|requested|paid|held|appealed|resigned|dismissed|approved|effected|completed|closed|engaged|responded|replied)(?: \w+){0,8}? on(?: or about)?(?: \w+day,?)?\s*$)"
);
pattern!(
    DATED_BEFORE,
    r"(?i)\b(?:letters?|notices?|notifications?|determinations?|decisions?|communications?|it|which|that)\b[^,;]{0,40}?\b(?:dated|of|bears? the date(?: of)?|bearing the date(?: of)?|issued(?: on)?|made(?: on)?)(?: as of)?(?: \w+day,?)?\s*$|\bdated\s*$|\bbears? the date(?: of)?\s*$|\b(?:letters?|notices?|decision|determination) of\s*$"
);
pattern!(
    RECEIVED_BEFORE,
    r"(?i)\b(?:receiv\w+|recieved|receipt|got|reached|arrived|delivered|came|come|notified|informed|advised|told|wrote|served|faxed|notification|notice|letter|letters|notices|heard)\b(?: (?:\w+|the company|by nasdaq)){0,6}?,?(?: on| the morning of| as of)?(?: last)?(?: \w+day,?)?\s*$"
);
pattern!(
    DECISION_AFTER,
    r"(?i)^,? (?:(?:staff |delist\w* |panel |written )?(?:decision|letter|notice|determination|notification)s?)\b"
);
pattern!(DUE_BEFORE, r"(?i)\b(?:last day|due (?:date|day)|deadline) (?:had been|was|being)(?: on)? (?:\w+day,? )?$");
pattern!(
    WRITER_AFTER,
    r"(?i)^, (?:the )?(?:nasdaq(?: stock market)?(?:'s)?(?: staff| listing)?|staff|listing qualifications)\b"
);
pattern!(
    RANGE_AFTER,
    r"(?i)^,? (?:through|to) (?:and including )?(?:\w+day,? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? \d"
);
pattern!(
    RANGE_BEFORE,
    r"(?i)\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? \d{1,2}(?:, \d{4})?,? through (?:\w+day,? )?$"
);
pattern!(LIMIT_AFTER, r"(?i)^,? (?:deadline|due date|expiration|expiry)\b");
pattern!(
    FUTURE_BEFORE,
    r"(?i)(?:\b(?:will|would|is to|are to|to|shall) (?:\w+ ){0,3}?(?:suspend\w*|delist\w*|remov\w*|stop|halt|cease|end|lapse|take effect|take place|be effective)\b[^;.]{0,80}|\b(?:delisting|suspension|removal) (?:effective )?|\b(?:when|where|as) (?:the )?(?:market|business|trading) opens,?) (?:on )?(?:\w+day,? )?$"
);
pattern!(
    PREPOSITION,
    r"(?i)(?:^|\b(?:on|of|in|dated|this|last|by|from|for|and|or|day|late|early|the|was|is)|[,:\x{2022}(*-]) *(?:\w+day,? *)?$"
);
pattern!(DATELINE_AFTER, r"(?i)^\s{0,2}(?:/|\(|-|\x{2013}|\x{2014}|:\s|\.\s[A-Z])");
pattern!(DASH_AFTER, r"^\s{0,2}(?:--?\s|/|\(|:)");
pattern!(LETTER_WORD, r"(?i)\b(?:letters?|notices?|notifications?|decision|determination|on|dated|of)\b[^,;]*$");
pattern!(ANNOUNCED_THAT, r"(?i)^,? (?:the company|we|\w+) (?:announced|reported|disclosed) that");
pattern!(EARLIER_OF, r"(?i)\b(?:earlier|later) of\b[^.;]{0,110}\b(?:and|or) (?:\w+day,? )?$");
pattern!(LIST_GAP, r"(?i)^\s*,?\s*(?:and|or|&)?\s*(?:(?:on|of|dated|until|through)\s)?$");

/// Exchange acts a date can belong to.
const EXCHANGE_ACTS: [Signal; 10] = [
    Signal::Notice,
    Signal::Determination,
    Signal::Additional,
    Signal::Extension,
    Signal::Panel,
    Signal::PanelGrant,
    Signal::PanelDelist,
    Signal::CouncilReview,
    Signal::CouncilGrant,
    Signal::Regained,
];

/// The reports a whole document names with the end of their period, by byte offset: short mentions take it from them.
pub fn find_known_reports(segmented: &Segmented, reference: Option<NaiveDate>) -> Vec<(usize, ReportMention)> {
    let spoken = |z: Zone| matches!(z, Zone::Headline | Zone::Body);
    let mut known = Vec::new();
    for sentence in segmented.sentences.iter().filter(|s| spoken(s.zone)) {
        let text = &segmented.masked[sentence.range.clone()];
        if !names_period(text) {
            continue;
        }
        let dates = find_dates(text, reference, None);
        let full = find_reports(text, &dates).into_iter().filter(|r| r.period_end.is_some());
        let at = sentence.range.start;
        known.extend(full.chain(find_periods(text, &dates)).map(|r| (at, r)));
    }
    known
}

/// Reads every sentence of a document that can bear on a listing. `exchanges` are those of [`find_exchanges`].
pub fn read_sentences<'p>(
    text: &str,
    segmented: &Segmented,
    exchanges: &[Range<usize>],
    context: &DocumentContext<'p>,
    reference: Option<NaiveDate>,
    exhibit_letter: bool,
) -> Vec<Reading<'p>> {
    let told_on = LazyCell::new(|| super::acts::dateline(text, reference));
    let names = LazyCell::new(|| Names::new(text, context));
    let mut carry = Carry::default();
    let mut last_date = None;
    let mut readings = Vec::new();
    let spoken =
        |zone: Zone| !matches!(zone, Zone::Cover | Zone::Signature | Zone::Contact | Zone::Exhibits | Zone::About);
    let spoken: Vec<&Sentence> = segmented.sentences.iter().filter(|s| spoken(s.zone)).collect();
    let is_direct = |sentence: &Sentence| {
        let next = exchanges.partition_point(|place| place.start < sentence.range.start);
        exchanges.get(next).is_some_and(|place| place.end <= sentence.range.end)
    };
    let direct: Vec<bool> = spoken.iter().map(|s| is_direct(s)).collect();
    let named: BTreeSet<usize> =
        spoken.iter().zip(&direct).filter(|(_, direct)| **direct).map(|(s, _)| s.paragraph).collect();
    let all_told = headline_tells(segmented) || exhibit_letter;
    for (sentence, direct) in spoken.into_iter().zip(direct) {
        let masked = &segmented.masked[sentence.range.clone()];
        // A list belongs to the sentence that opens it, however long it is.
        let listed = carry.lead_in.as_ref().is_some_and(|lead| lead.covers(sentence.paragraph)) && is_point(masked);
        let near = listed || carry.paragraph.is_some_and(|p| sentence.paragraph <= p + 2);
        let in_context = direct || (near && GOES_ON.is_match(masked)) || (near && BULLET.is_match(head(masked, 1)));
        let beside =
            || all_told || named.range(sentence.paragraph.saturating_sub(1)..=sentence.paragraph + 1).next().is_some();
        if !in_context && (sentence.zone == Zone::ForwardLooking || !beside()) {
            continue;
        }
        let rules = find_rules(masked);
        let named = exchange_of(masked, &rules);
        let exchange = named.unwrap_or(carry.exchange);
        if direct {
            carry = Carry { paragraph: Some(sentence.paragraph), exchange, lead_in: carry.lead_in.take() };
        }
        let cues = find_cues(masked, context.patterns);
        let mentions = find_dates_after(masked, reference, *told_on, last_date);
        last_date = mentions.last().map(|d| d.date).or(last_date);
        let reports = find_reports(masked, &mentions);
        let mut dates = assign_roles(masked, &mentions, &cues, carry.lead_in.as_ref(), sentence.paragraph);
        for date in &mut dates {
            // No letter has come on a day that is still to come.
            let ahead = reference.is_some_and(|today| (date.mention.date - today).num_days() > 1);
            if ahead && matches!(date.role, Role::Received | Role::Dated) {
                date.role = Role::Deadline;
            }
        }
        let lead_cues = carry.lead_cues(masked, &dates, sentence.paragraph);
        let ends_list = masked.trim_end().ends_with(':');
        let foreign = names.addresses_another(&text[sentence.range.clone()]);
        let reading = Reading {
            range: sentence.range.clone(),
            paragraph: sentence.paragraph,
            zone: sentence.zone,
            text: masked.to_owned(),
            exchange,
            names_exchange: named.is_some(),
            in_context,
            foreign,
            cues: if lead_cues.is_empty() { cues } else { lead_cues.into_iter().chain(cues).collect() },
            dates,
            rules,
            reports,
        };
        if ends_list {
            carry.lead_in = Some(LeadIn { paragraph: sentence.paragraph, cues: reading.cues.clone() });
        }
        readings.push(reading);
    }
    readings
}

/// True if the headline names a letter of an exchange: the body need not name the exchange again.
fn headline_tells(segmented: &Segmented) -> bool {
    pattern!(LETTER, r"(?i)\b(?:letters?|notices?|notif\w+|determinations?|delinquen\w+|deficien\w+|delist\w*)\b");
    segmented.sentences.iter().take_while(|s| s.zone == Zone::Headline).any(|s| {
        let text = &segmented.masked[s.range.clone()];
        DIRECT.is_match(text) && LETTER.is_match(text)
    })
}

/// True for the letter of an exchange itself, filed as an exhibit: letterhead first, then a reference or a greeting.
pub fn is_exhibit_letter(segmented: &Segmented) -> bool {
    pattern!(GREETING, r"(?i)^\W*(?:dear (?:mr|ms|mrs|sir|dr)|re:|via (?:fax|facsimile|e-?mail))");
    let start: Vec<&str> = segmented.sentences.iter().take(30).map(|s| &segmented.masked[s.range.clone()]).collect();
    start.iter().any(|text| GREETING.is_match(text)) && start.iter().take(8).any(|text| DIRECT.is_match(text))
}

#[derive(Default)]
struct Carry<'p> {
    paragraph: Option<usize>,
    exchange: Exchange,
    lead_in: Option<LeadIn<'p>>,
}

/// A sentence that ends in a colon speaks for each point of the list below it.
struct LeadIn<'p> {
    paragraph: usize,
    cues: Vec<Cue<'p>>,
}

/// Points of one list are at most this many paragraphs below the sentence that opens it.
pub const MAX_LIST: usize = 12;

impl LeadIn<'_> {
    fn covers(&self, paragraph: usize) -> bool {
        paragraph > self.paragraph && paragraph <= self.paragraph + MAX_LIST
    }
}

impl<'p> Carry<'p> {
    fn lead_cues(&self, sentence: &str, dates: &[RoleDate], paragraph: usize) -> Vec<Cue<'p>> {
        let Some(lead) = self.lead_in.as_ref().filter(|l| l.covers(paragraph)) else { return Vec::new() };
        let opens = dates.first().is_some_and(|d| BULLET.is_match(&sentence[..d.mention.start]));
        if !opens {
            return Vec::new();
        }
        let fits = |c: &&Cue| EXCHANGE_ACTS.contains(&c.signal);
        lead.cues.iter().filter(fits).map(|c| Cue { start: 0, end: 0, ..c.clone() }).collect()
    }
}

/// True for a point of a list, told by the mark it begins with.
pub fn is_point(sentence: &str) -> bool {
    POINT.is_match(sentence)
}

/// Where a masked text names an exchange, a body of one, or a delisting: nothing is read in one that does not.
pub fn find_exchanges(masked: &str) -> Vec<Range<usize>> {
    DIRECT.find_iter(masked).map(|found| found.range()).collect()
}

/// True if a text names Nasdaq or a body of it.
pub fn names_nasdaq(text: &str) -> bool {
    NASDAQ.is_match(text)
}

fn exchange_of(sentence: &str, rules: &[Citation]) -> Option<Exchange> {
    let at = |regex: &Matcher| regex.find(sentence).map(|m| m.start());
    let american = at(&NYSE_AMERICAN);
    let nyse = at(&NYSE).filter(|n| american.is_none_or(|a| a > *n));
    let nasdaq = at(&NASDAQ);
    let cited = |e: Exchange| rules.iter().any(|r| r.exchange == e);
    let mut found: Vec<(usize, Exchange)> = [
        (american, Exchange::NyseAmerican),
        (nyse, Exchange::Nyse),
        (nasdaq, Exchange::Nasdaq),
        (at(&OTHER_EXCHANGE), Exchange::Other),
    ]
    .into_iter()
    .filter_map(|(at, e)| at.map(|at| (at, e)))
    .collect();
    found.sort_by_key(|(at, _)| *at);
    let by_rule = found.iter().find(|(_, e)| *e != Exchange::Nasdaq && cited(*e));
    by_rule.or_else(|| found.first()).map(|(_, e)| *e).or_else(|| rules.first().map(|r| r.exchange))
}

/// Says what each date of a sentence is for: words right before it rule, then the nearest act.
fn assign_roles(
    text: &str,
    mentions: &[DateMention],
    cues: &[Cue],
    lead: Option<&LeadIn>,
    paragraph: usize,
) -> Vec<RoleDate> {
    let mut dates: Vec<RoleDate> = Vec::new();
    for mention in mentions {
        let listed = dates.last().filter(|last| {
            last.mention.end <= mention.start && LIST_GAP.is_match(&text[last.mention.end..mention.start])
        });
        let role = match listed {
            Some(last) => last.role,
            None => role_of(text, mention, cues, lead.filter(|l| l.covers(paragraph))),
        };
        dates.push(RoleDate { mention: mention.clone(), role });
    }
    dates
}

fn role_of(text: &str, mention: &DateMention, cues: &[Cue], lead: Option<&LeadIn>) -> Role {
    let (before, after) = (tail(&text[..mention.start], 120), head(&text[mention.end..], 40));
    // "August 1 through September 12": days counted, no letters.
    if RANGE_AFTER.is_match(after) || RANGE_BEFORE.is_match(before) {
        return Role::Other;
    }
    // "Nor could we file (the last day was May 15)".
    if DUE_BEFORE.is_match(before) {
        return Role::Other;
    }
    // "On the day after, February 9, the Nasdaq staff wrote".
    if mention.start < MAX_DATELINE && WRITER_AFTER.is_match(after) && mentions_letter(cues) && !is_filing(before) {
        return Role::Received;
    }
    let in_list = lead.is_some_and(|l| l.cues.iter().any(|c| EXCHANGE_ACTS.contains(&c.signal)));
    if in_list && BULLET.is_match(&text[..mention.start]) {
        return Role::Received;
    }
    if LIMIT_AFTER.is_match(after) || FUTURE_BEFORE.is_match(before) {
        return Role::Deadline;
    }
    let dashed = mention.start < 400 && before.trim_end().ends_with(['-', ',', ')']) && DASH_AFTER.is_match(after);
    let dateline = mention.start < MAX_DATELINE && DATELINE_AFTER.is_match(after) && !LETTER_WORD.is_match(before);
    if dashed || (dateline && !DEADLINE_BEFORE.is_match(before)) {
        return Role::Other;
    }
    if DECISION_AFTER.is_match(after) && !DEADLINE_BEFORE.is_match(before) {
        return Role::Dated;
    }
    if ANNOUNCED_THAT.is_match(after) && mention.start < 6 && mentions_act(cues) {
        return Role::Received;
    }
    if is_period_end(text, mention) {
        return Role::Period;
    }
    if DATED_BEFORE.is_match(before) && !is_filing(before) {
        return Role::Dated;
    }
    if DEADLINE_BEFORE.is_match(before) || EARLIER_OF.is_match(before) {
        return Role::Deadline;
    }
    if is_filing(before) {
        return Role::Other;
    }
    if RECEIVED_BEFORE.is_match(before) && nearest_act(text, mention, cues).is_none_or(|s| s != Signal::OwnAct) {
        return Role::Received;
    }
    match nearest_act(text, mention, cues) {
        Some(signal) if EXCHANGE_ACTS.contains(&signal) && PREPOSITION.is_match(before) => Role::Received,
        _ => Role::Other,
    }
}

/// True if the words before a date name the company's own paper. "Announced that on May 2" starts a new statement.
fn is_filing(before: &str) -> bool {
    FILING_BEFORE.find(before).is_some_and(|m| !m.as_str().contains(" that "))
}

/// True if the sentence tells an act of an exchange.
fn mentions_act(cues: &[Cue]) -> bool {
    const BODIES: [Signal; 4] = [Signal::PanelGrant, Signal::PanelDelist, Signal::CouncilReview, Signal::CouncilGrant];
    cues.iter().any(|c| BODIES.contains(&c.signal))
}

fn mentions_letter(cues: &[Cue]) -> bool {
    cues.iter().any(|c| matches!(c.signal, Signal::Notice | Signal::Determination | Signal::Additional))
}

/// A dateline's date stands within so many bytes of the start of its sentence.
const MAX_DATELINE: usize = 110;

/// The act that stands nearest to a date; clause ends between them count as distance.
fn nearest_act(text: &str, mention: &DateMention, cues: &[Cue]) -> Option<Signal> {
    let acts = cues.iter().filter(|c| c.signal == Signal::OwnAct || EXCHANGE_ACTS.contains(&c.signal));
    acts.min_by_key(|c| distance(text, mention, c)).map(|c| c.signal)
}

fn distance(text: &str, mention: &DateMention, cue: &Cue) -> usize {
    let (from, to) = if cue.end <= mention.start {
        (cue.end, mention.start)
    } else if cue.start >= mention.end {
        (mention.end, cue.start)
    } else {
        // The date stands inside the phrase: "received on May 2 a letter".
        return 0;
    };
    let between = &text[from..to];
    // "Announced that on May 2 Nasdaq wrote": the date belongs to what follows "that".
    let breaks = between.matches(" that ").count() * 60
        + between.matches(';').count() * 120
        + between.matches(['(', ')']).count() * 15
        + between.matches(", and ").count() * 40
        + between.matches(',').count() * 6;
    between.len() + breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, Role)]) {
        let reference = "2007-03-08".parse().ok();
        let dates = find_dates(text, reference, reference);
        let found: Vec<(String, Role)> = assign_roles(text, &dates, &find_cues(text, &[]), None, 0)
            .iter()
            .map(|d| (d.mention.date.to_string(), d.role))
            .collect();
        let expected: Vec<(String, Role)> = expected.iter().map(|(d, r)| ((*d).to_owned(), *r)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_before_a_date_say_what_it_is_for() {
        use Role::*;
        check("On March 2, 2007, Nasdaq notified us that", &[("2007-03-02", Received)]);
        check(
            "By letter dated March 1, 2007, which reached us on March 2, Nasdaq said",
            &[("2007-03-01", Dated), ("2007-03-02", Received)],
        );
        check(
            "The Form 10-Q for the quarter ended June 30, 2006 was filed on August 20, 2006.",
            &[("2006-06-30", Period), ("2006-08-20", Other)],
        );
        check("It has until May 1, 2007 to submit a plan", &[("2007-05-01", Deadline)]);
        check(
            "As disclosed in its Form 8-K filed on January 5, 2007, it received on January 3, 2007 a notice",
            &[("2007-01-05", Other), ("2007-01-03", Received)],
        );
        check(
            "letters received on August 14, 2006 and November 10, 2006",
            &[("2006-08-14", Received), ("2006-11-10", Received)],
        );
        check("called for review the Panel's December 28, 2006 decision", &[("2006-12-28", Dated)]);
        check("On March 5, 2007 Varlo told the Panel that it could not file", &[("2007-03-05", Other)]);
    }
}
