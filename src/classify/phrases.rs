//! Phrases of listing notices: data that a lawyer can read, compiled once, each with its own examples.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::patterns::{Pattern, PatternSource, Sifted};

/// What a phrase tells about the sentence it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Somebody got word in writing.
    Notice,
    /// A requirement is not met.
    Breach,
    /// Staff means to delist.
    Determination,
    /// A further basis for a delisting that is already under way.
    Additional,
    /// Staff gave time, or took a plan.
    Extension,
    /// A hearings panel is spoken of.
    Panel,
    /// A panel gave time, or kept the listing.
    PanelGrant,
    /// A panel decided to delist.
    PanelDelist,
    /// The Listing Council takes a decision up, stays or remands it.
    CouncilReview,
    /// The Listing Council gave time.
    CouncilGrant,
    /// Compliance was found again.
    Regained,
    /// The company asks for a hearing.
    Hearing,
    /// A listing ends.
    Delisting,
    /// A notice is only expected.
    Anticipated,
    /// Something the company, or a sender other than an exchange, did.
    OwnAct,
    /// What stands beside it was known before.
    History,
    /// What stands beside it is announced now.
    News,
    /// It did not happen.
    Negated,
    /// Word of some kind came or went; weighed over a passage only, as are those below.
    Contact,
    /// The listing or the trading is to end.
    Threat,
    /// Somebody has made up his mind.
    Decided,
    /// There is something to appeal against.
    AppealRight,
    /// A plan is asked for.
    PlanInvited,
    /// Time to comply runs without a plan.
    CurePeriod,
    /// Something is missing or too low.
    Lack,
    /// A hearings panel is the author.
    ByPanel,
    /// The Listing Council is the author.
    ByCouncil,
}

/// A phrase of a notice.
pub type Phrase = Pattern<Signal>;

/// A phrase found in a sentence, by byte offsets of that sentence.
#[derive(Debug, Clone)]
pub struct Cue<'p> {
    pub signal: Signal,
    pub name: &'p str,
    pub start: usize,
    pub end: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    macros: BTreeMap<String, String>,
    phrase: Vec<PatternSource<Signal>>,
}

static PHRASES: LazyLock<Sifted<Signal>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    let file: File = toml::from_str(include_str!("patterns/phrases.toml")).expect("a constant of this module");
    Sifted::compile(file.phrase, &file.macros)
});

pattern!(
    MODAL,
    r"(?i)\b(?:may|might|could|would|can|cannot|should|must|shall|were to|unless|if|whether|not|until|when|once|upon the|pending|unable to|failed to|failure to)(?: \w+){0,5} ?$"
);

pattern!(
    CONDITION,
    r"(?i)^\W*(?:an?|any) (?:\w+ )?(?:company|issuer|plan|request) (?:that|which|who)\b|^(?:\W*(?:if|should|in the event|were|unless|upon|on receipt|when|once|failing|otherwise)\b)|\b(?:in the event|in (?:such|that|this|such an|any such|either|the former|the latter) (?:case|event|circumstances?)|in which case|if not,|if so,|at that time,? (?:[\w']+ ){0,4}?(?:may|might|would|will|could|can)\b|failing (?:which|that|this|to do so)|or else|if (?:it|the company|we|any|such|a |an |compliance|the (?:terms|bid|closing|matter|plan|staff|panel|securities|stock|common)|that|this|these|later)\b[^,]{0,90}\b(?:not|fails?|should|cannot|does|do|is|are|were|accepts?|accepted|regain))"
);

/// Finds the phrases of `sentence`, the program's and the user's own; those that need a fact are left out where the words around make them unreal.
pub fn find_cues<'p>(sentence: &str, own: &'p [Phrase]) -> Vec<Cue<'p>> {
    let mut cues = Vec::new();
    let condition = CONDITION.find(sentence).map(|m| m.start());
    let in_the_past = IN_THE_PAST.is_match(sentence);
    let of_program = PHRASES.find_in(sentence);
    let of_user = own.iter().flat_map(|phrase| phrase.regex.find_iter(sentence).map(move |found| (phrase, found)));
    for (phrase, found) in of_program.chain(of_user) {
        let unreal = !phrase.source.modal && is_unreal(sentence, found.start(), phrase.source.signal, condition);
        let unreal = unreal || (in_the_past && phrase.source.signal == Signal::News);
        let by_company = (phrase.source.signal == Signal::Decided || phrase.source.name == "determination.to_delist")
            && (company_decides(super::dates::tail(&sentence[..found.start()], 160)) || OWN_CHOICE.is_match(sentence));
        if unreal || by_company || is_denied(phrase.source.signal, found.as_str()) {
            continue;
        }
        cues.push(Cue {
            signal: phrase.source.signal,
            name: &phrase.source.name,
            start: found.start(),
            end: found.end(),
        });
    }
    cues
}

pattern!(
    COMPANY_ACTS,
    r"(?i)\b(?:company|registrant|issuer|we)(?: (?:has|had|have|also|then|today))* (?:gave|given|notified|informed|advised|told|wrote|sent|delivered|determined|asked|requested|stated|decided|concluded|indicated)\b[^,]{0,20}$"
);

pattern!(
    IN_THE_PAST,
    r"(?i)\b(?:in the past|from time to time|on (?:several|prior|previous) occasions|historically|in (?:prior|previous) years)\b"
);

// "The Company intends to delist": its own choice.
pattern!(
    COMPANY_SUBJECT,
    r"(?i)\b(?:company|registrant|issuer|corporation|we|board(?: of (?:directors|trustees|managers))?|directors|trustees|managers|management|sponsor|partnership|bank|fund|trust|general partner)(?: (?:has|have|had|also|unanimously|today|then))* $"
);

/// True if the words before a verb make the company, or a body of it, its subject, also across an aside: "the Board of
/// Directors of Varlo, after weighing the cost, determined".
fn company_decides(before: &str) -> bool {
    pattern!(BOARD, r"(?i)\b(?:board of (?:directors|trustees|managers)|directors of the company|trustees)\b");
    pattern!(TURNS, r"(?i)\b(?:nasdaq|staff|panel|council|nyse|exchange|department|notified|informed|advised|told)\b");
    let aside = BOARD.find_iter(before).last().is_some_and(|board| !TURNS.is_match(&before[board.end()..]));
    aside || COMPANY_SUBJECT.is_match(super::dates::tail(before, 60))
}

pattern!(OWN_CHOICE, r"(?i)\bvoluntar(?:y|ily)\b|\bof its own accord\b|\bon its own initiative\b");

/// "Has not regained compliance" holds the phrase and its denial; in "Nasdaq, which the Company told" the company acts.
fn is_denied(signal: Signal, words: &str) -> bool {
    // "It will announce the notice when it has been received".
    pattern!(
        YET_TO_COME,
        r"(?i)\b(?:when|once|if|until|should) (?:it|one|they|and when) (?:is|are|has|have|was|were|be|arrives?|comes?|receives?)\b"
    );
    if signal == Signal::Notice && (COMPANY_ACTS.is_match(words) || YET_TO_COME.is_match(words)) {
        return true;
    }
    // What a panel allowed is no grant of the council that reviews it.
    if signal == Signal::CouncilGrant && words.to_ascii_lowercase().contains("panel") {
        return true;
    }
    // What Nasdaq files is no request.
    if signal == Signal::Hearing && words.to_ascii_lowercase().contains("by nasdaq") {
        return true;
    }
    const GIVEN: [Signal; 5] =
        [Signal::Regained, Signal::Extension, Signal::PanelGrant, Signal::CouncilGrant, Signal::CouncilReview];
    // "An exception, if one is granted".
    pattern!(IF_GIVEN, r"(?i)\bif (?:one|it|any|such|an?|the|granted|accepted|allowed|so)\b");
    GIVEN.contains(&signal) && IF_GIVEN.is_match(words)
        || GIVEN.contains(&signal)
            && words.split(|c: char| !c.is_ascii_alphabetic()).any(|w| {
                ["not", "longer", "nor", "fails", "failed", "unable"].iter().any(|d| w.eq_ignore_ascii_case(d))
            })
}

// "Unless the Company requests a hearing".
pattern!(
    IF_IT_ASKS,
    r"(?i)\b(?:unless|if|should|until|whether|may|can|could|in case|entitled|right|able|eligible|opportunity|would then)(?: [\w']+){0,4} $"
);

// "Nasdaq will provide written notification that the stock will be delisted": a letter that is to come, if any.
pattern!(
    WILL_TELL,
    r"(?i)\b(?:will|would|is to|shall) (?:\w+ ){0,2}?(?:provide|send|issue|give|notify|inform|receive)\b[^.;]{0,80}$"
);

fn is_unreal(sentence: &str, at: usize, signal: Signal, condition: Option<usize>) -> bool {
    if matches!(signal, Signal::Hearing | Signal::Anticipated) {
        let before = super::dates::tail(&sentence[..at], 24).to_ascii_lowercase();
        let asked_if = signal == Signal::Hearing && IF_IT_ASKS.is_match(super::dates::tail(&sentence[..at], 60));
        if asked_if {
            return true;
        }
        let opens_with_if = condition == Some(0) && signal != Signal::Anticipated;
        return ["if ", "not ", "unless "].iter().any(|w| before.ends_with(w)) || opens_with_if;
    }
    if MODAL.is_match(super::dates::tail(&sentence[..at], 40))
        && !sentence[at..].to_ascii_lowercase().starts_with("unless")
    {
        return true;
    }
    pattern!(WILL, r"(?i)\b(?:will|would|shall) (?:\w+ly )?$");
    if signal == Signal::News && WILL.is_match(super::dates::tail(&sentence[..at], 30)) {
        return true;
    }
    let drastic = matches!(signal, Signal::Determination | Signal::Threat | Signal::Decided);
    if drastic && WILL_TELL.is_match(super::dates::tail(&sentence[..at], 90)) {
        return true;
    }
    // "Unless the Company requests a hearing by May 2, trading will be suspended" is a fact in the grammar of a condition.
    let determined =
        signal == Signal::Determination && condition.is_some_and(|c| c == at || (c == 0 && starts_unless(sentence)));
    // A semicolon ends what hangs on a condition.
    condition.is_some_and(|c| c <= at && !sentence[c..at].contains(';')) && !determined && !starts_unless(sentence)
}

fn starts_unless(sentence: &str) -> bool {
    let lower = super::dates::head(sentence, 12).to_ascii_lowercase();
    lower.contains("unless") || lower.contains("if no")
}

#[cfg(test)]
mod tests {
    use super::super::patterns::assert_examples;
    use super::*;

    #[test]
    fn every_phrase_finds_its_examples_and_no_near_miss() {
        assert_examples(PHRASES.patterns());
    }

    fn check(sentence: &str, signal: Signal, expected: bool) {
        let found = find_cues(sentence, &[]).iter().any(|c| c.signal == signal);
        assert_eq!(found, expected, "{signal:?} in {sentence:?}");
    }

    #[test]
    fn conditions_make_a_statement_unreal() {
        use Signal::*;
        check(
            "If it does not comply, Nasdaq will send a notice that its stock is subject to delisting.",
            Determination,
            false,
        );
        check("Nasdaq may determine to delist the stock.", Determination, false);
        check("Unless it requests a hearing by May 9, trading will be suspended on May 11.", Determination, true);
        check("The staff has determined to delist the stock.", Determination, true);
        check("It would then be entitled to request a hearing.", Hearing, false);
        check("This could serve as an additional basis for delisting.", Additional, true);
    }
}
