//! Whom a letter went to: the filer, or another company that the filer speaks of.

use std::collections::BTreeSet;
use std::ops::Range;

use super::DocumentContext;
use super::dates::head;
use super::sentences::names_nasdaq;

/// Names of the issuer and of other companies a document speaks of.
pub struct Names {
    own: BTreeSet<String>,
    others: BTreeSet<String>,
}

pattern!(
    COMPANY_NAME,
    r#"\b([A-Z][A-Za-z0-9'&-]{2,})(?: [A-Z][A-Za-z0-9'&-]+){0,4},? (?:Inc|Corp|Corporation|Incorporated|Ltd|Limited|LLC|L\.P|plc|PLC|N\.V|Holdings|Company|Co|S\.A|AG|Systems|Group|Technologies)\b"#
);
pattern!(
    DATELINE_NAME,
    r"\b([A-Z][A-Za-z0-9'&-]{2,})(?:[ ,]+(?:[A-Z&][A-Za-z0-9'&.-]*|of|and|the|de)){0,7},?\s?\((?:NASDAQ|Nasdaq|NYSE|AMEX)"
);
pattern!(ALIAS, r#"\b([A-Z][A-Za-z0-9'&-]{2,})(?: [A-Z][A-Za-z0-9'&.,-]+){0,5},? \((?:the )?"([A-Z][A-Za-z]{3,})"\)"#);
pattern!(WORD, r"\b[A-Za-z][A-Za-z0-9&-]*");
pattern!(
    GOT_WORD,
    r"(?i)\b(?:receiv(?:ed|es|ing)|got|(?:was|were|been|being) (?:\w+ ){0,2}?(?:notified|informed|advised|told)|had a (?:letter|notice))\b"
);
pattern!(STAFF, r"(?i)\b(?:staff|department|exchange|nyse|amex)\b");
pattern!(SAYS, r"(?i)\b(?:announced|said|disclosed|reported|stated|announces|says)\b");
pattern!(
    TELLS,
    r"(?i)\b(?:notified|informed|advised|told|notifying|informing|wrote to|sent|notice to|letter to|letters to) (?:the )?"
);
pattern!(
    OWN_ADDRESS,
    r"(?i)\b(?:the company|your company|you|the registrant|the issuer|the trust|the fund|the bank|the corporation|the partnership|we|us|our)\b"
);

/// Capitalised words that open sentences or name parts of an exchange, not companies.
const NO_COMPANY: [&str; 46] = [
    "The",
    "This",
    "That",
    "Nasdaq",
    "NASDAQ",
    "NYSE",
    "AMEX",
    "Staff",
    "Panel",
    "Council",
    "Board",
    "Company",
    "Registrant",
    "Department",
    "Exchange",
    "Committee",
    "Listing",
    "Qualifications",
    "Market",
    "Marketplace",
    "Rule",
    "Rules",
    "Notice",
    "Letter",
    "Determination",
    "Management",
    "Trust",
    "Fund",
    "Bank",
    "Corporation",
    "American",
    "New",
    "York",
    "Stock",
    "Securities",
    "Commission",
    "SEC",
    "Hearings",
    "Hearing",
    "Form",
    "They",
    "She",
    "Item",
    "Regulation",
    "Issuer",
    "Global",
];

// "Its indirect parent, Varlo Holdings, reported in its own Form 8-K".
pattern!(
    RELATIVE_TELLS,
    r"(?i)\b(?:company's|registrant's|our|its) (?:\w+ ){0,2}?(?:parent|subsidiary|affiliate|customer|supplier|tenant|landlord|licensee|licensor|joint venture partner)\b[^.;]{0,140}?\b(?:reported|announced|disclosed|said|stated)\b[^.;]{0,60}?\b(?:that|it)\b"
);
pattern!(
    OWN_STOCK,
    r"(?i)\b(?:our|(?:the|your) (?:company|registrant|issuer|trust|fund|partnership)'s)(?: [a-z-]+){0,2} (?:shares|stock|securities|units|adss|listing|failure|non-?compliance)\b"
);

impl Names {
    pub fn new(text: &str, context: &DocumentContext) -> Self {
        let start = head(text, 6000);
        let mut own = BTreeSet::new();
        let mut never_other = BTreeSet::new();
        if let Some(issuer) = context.issuer {
            own.extend(words(issuer).take(2));
            never_other.extend(words(issuer));
        }
        if let Some(found) = DATELINE_NAME.captures(start) {
            own.insert(found[1].to_lowercase());
        }
        let mut others = BTreeSet::new();
        // Without a name for the issuer nobody can be told from it.
        if !own.is_empty() {
            for found in COMPANY_NAME.captures_iter(head(text, 400_000)) {
                let name = found[1].to_lowercase();
                if !own.contains(&name)
                    && !never_other.contains(&name)
                    && !NO_COMPANY.iter().any(|w| w.eq_ignore_ascii_case(&name))
                {
                    others.insert(name);
                }
            }
        }
        // "Ossining Holdings Corporation ("Holdings")": the short name is as foreign as the long one.
        for found in ALIAS.captures_iter(head(text, 400_000)) {
            let (name, alias) = (found[1].to_lowercase(), found[2].to_lowercase());
            let is_company = matches!(
                alias.as_str(),
                "company" | "registrant" | "issuer" | "corporation" | "partnership" | "trust" | "fund" | "bank"
            );
            if others.contains(&name) && !own.contains(&alias) && !is_company {
                others.insert(alias);
            }
        }
        Self { own, others }
    }

    /// True if a sentence says that another company got word, and not the filer.
    pub fn addresses_another(&self, sentence: &str) -> bool {
        if RELATIVE_TELLS.is_match(sentence) {
            return true;
        }
        if self.others.is_empty() {
            return false;
        }
        if self.concerns_another(sentence) {
            return true;
        }
        let parties = self.parties(sentence);
        if !parties.iter().any(|(_, p)| *p == Party::Other) {
            return false;
        }
        let mut receivers = Vec::new();
        let told: Vec<Telling> =
            TELLS.find_iter(sentence).map(|m| Telling::read(sentence, &parties, m.range())).collect();
        for got in GOT_WORD.find_iter(sentence) {
            let nearest = parties.iter().rfind(|(at, _)| *at < got.start());
            receivers.extend(nearest.map(|(at, party)| resolve_it(sentence, *party, *at, &parties, &told)));
        }
        // "Dunnet told the Company" passes word on; "Nasdaq told Dunnet" gives it.
        for telling in told.iter().filter(|t| t.by_exchange) {
            receivers.extend(telling.object.map(|p| resolve_it(sentence, p, telling.at, &parties, &told)));
        }
        if receivers.is_empty() {
            return !OWN_ADDRESS.is_match(sentence) && parties.iter().all(|(_, p)| *p != Party::Own);
        }
        receivers.contains(&Party::Other) && !receivers.contains(&Party::Own)
    }

    /// True if it is another company's stock or duty that a sentence speaks of: "has determined to delist Dunnet's shares".
    fn concerns_another(&self, sentence: &str) -> bool {
        pattern!(
            OWNED,
            r"\b([A-Z][A-Za-z0-9&-]+)(?:'s|')(?: [a-z-]+){0,2} (?:shares|stock|securities|units|ADSs|listing|failure|non-?compliance)\b"
        );
        let mut owners = OWNED.captures_iter(sentence).map(|c| c[1].to_lowercase()).peekable();
        owners.peek().is_some()
            && !OWN_STOCK.is_match(sentence)
            && owners.all(|owner| self.others.contains(&owner) && !self.own.contains(&owner))
    }

    /// Who is named in a sentence, in order: the filer, other companies, "it". Possessives name no party.
    fn parties(&self, sentence: &str) -> Vec<(usize, Party)> {
        let mut found = Vec::new();
        for word in WORD.find_iter(sentence) {
            let lower = word.as_str().to_lowercase();
            let possessive = sentence[word.end()..].starts_with("'s") || sentence[word.end()..].starts_with("' ");
            let party = match lower.as_str() {
                "company" | "registrant" | "issuer" | "trust" | "fund" | "we" | "us" | "partnership" => Party::Own,
                "it" => Party::It,
                _ if !word.as_str().starts_with(|c: char| c.is_ascii_uppercase()) => continue,
                name if self.own.contains(name) => Party::Own,
                name if self.others.contains(name) => Party::Other,
                _ => continue,
            };
            if !possessive {
                found.push((word.start(), party));
            }
        }
        found
    }
}

/// Somebody a letter can be addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Own,
    Other,
    /// "It": whoever the sentence started with.
    It,
}

/// "A told B": where it stands, whom it was told, and whether an exchange told it.
struct Telling {
    at: usize,
    object: Option<Party>,
    by_exchange: bool,
}

impl Telling {
    fn read(sentence: &str, parties: &[(usize, Party)], verb: Range<usize>) -> Self {
        let teller = parties.iter().rfind(|(at, _)| *at < verb.start);
        let between = &sentence[teller.map_or(0, |(at, _)| *at)..verb.start];
        let object = parties.iter().find(|(at, _)| *at >= verb.end).filter(|(at, _)| at - verb.end < 12);
        Self {
            at: verb.start,
            object: object.map(|(_, p)| *p),
            by_exchange: names_nasdaq(between) || STAFF.is_match(between),
        }
    }
}

/// "It" is whoever told the filer, or whoever stands right before the last verb of saying, else whoever comes first.
fn resolve_it(sentence: &str, party: Party, at: usize, parties: &[(usize, Party)], told: &[Telling]) -> Party {
    if party != Party::It {
        return party;
    }
    let passed_on = told.iter().any(|t| t.at < at && !t.by_exchange && t.object == Some(Party::Own));
    if passed_on && parties.iter().any(|(p, party)| *p < at && *party == Party::Other) {
        return Party::Other;
    }
    if let Some(says) = SAYS.find_iter(&sentence[..at]).last() {
        let speaker = parties.iter().rfind(|(p, party)| *p < says.start() && *party != Party::It);
        // A comma parts the verb from an aside: "Varlo, which supplies Dunnet, announced".
        let direct = |p: usize| !sentence[p..says.start()].replace(", Inc", "").contains(',') && says.start() - p < 60;
        if let Some((_, speaker)) = speaker.filter(|(p, _)| direct(*p)) {
            return *speaker;
        }
    }
    parties.iter().map(|(_, p)| *p).find(|p| *p != Party::It).unwrap_or(Party::Own)
}

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'').filter(|w| w.len() > 2).map(str::to_lowercase)
}
