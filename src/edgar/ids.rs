//! EDGAR's identifiers: parse, print, compare. Nothing here knows where they came from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Central Index Key: the number EDGAR gives each filer, printed with ten digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cik(u64);

impl Cik {
    /// The largest value ten digits can hold.
    const MAX: u64 = 9_999_999_999;

    /// Takes a number as EDGAR's JSON files hold it; `None` past ten digits or for zero.
    pub fn from_number(number: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The bare number, as Archives paths write it: no leading zeros.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The form the store keeps.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Back from the store's form; `None` for a number that is no CIK.
    pub fn from_i64(number: i64) -> Option<Self> {
        u64::try_from(number).ok().and_then(Self::from_number)
    }
}

impl fmt::Display for Cik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl FromStr for Cik {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits = text.strip_prefix("CIK").unwrap_or(text);
        let shaped = (1..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        shaped
            .then(|| digits.parse().ok().and_then(Self::from_number))
            .flatten()
            .ok_or_else(|| ParseIdError::new("a CIK of 1 to 10 digits", text))
    }
}

impl TryFrom<String> for Cik {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<Cik> for String {
    fn from(cik: Cik) -> Self {
        cik.to_string()
    }
}

/// Names one submission: `0001193125-25-120935`. The first ten digits are whoever submitted it, often a filing agent.
///
/// ```
/// use edgar_watch::edgar::ids::AccessionNumber;
///
/// let accession: AccessionNumber = "0001193125-25-120935".parse()?;
/// assert_eq!(accession.without_dashes(), "000119312525120935");
/// # Ok::<(), edgar_watch::edgar::ids::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessionNumber(u64);

impl AccessionNumber {
    /// Digits of an accession number, dashes not counted.
    const DIGITS: usize = 18;

    /// The form Archives paths use: eighteen digits, no dashes.
    pub fn without_dashes(self) -> String {
        format!("{:018}", self.0)
    }

    /// The form the store keeps: all eighteen digits as one number.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Back from the store's form; `None` for a number of more than eighteen digits.
    pub fn from_i64(number: i64) -> Option<Self> {
        u64::try_from(number).ok().filter(|n| *n < 1_000_000_000_000_000_000).map(Self)
    }
}

impl fmt::Display for AccessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let submitter = self.0 / 100_000_000;
        let year = self.0 / 1_000_000 % 100;
        let sequence = self.0 % 1_000_000;
        write!(f, "{submitter:010}-{year:02}-{sequence:06}")
    }
}

impl FromStr for AccessionNumber {
    type Err = ParseIdError;

    /// Takes both written forms, with dashes and without.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = text.as_bytes();
        let dashed = bytes.len() == 20 && bytes[10] == b'-' && bytes[13] == b'-';
        let digits: String = if dashed { text.chars().filter(|c| *c != '-').collect() } else { text.to_owned() };
        let shaped = digits.len() == Self::DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        shaped
            .then(|| digits.parse().ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ParseIdError::new("an accession number such as 0001193125-25-120935", text))
    }
}

impl TryFrom<String> for AccessionNumber {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<AccessionNumber> for String {
    fn from(accession: AccessionNumber) -> Self {
        accession.to_string()
    }
}

/// A form type such as `8-K` or `8-K/A`, compared exactly: `8-K12B` is another form than `8-K`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormType(String);

impl FormType {
    /// Takes the form as EDGAR writes it, blanks around it dropped and letters in capitals.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_ascii_uppercase())
    }

    /// The form as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FormType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An 8-K item number: `3.01` today, a bare `5` before 23 August 2004.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemNumber(String);

impl ItemNumber {
    /// Takes `3.01`, `5`, `9.01`; anything else is `None`.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
        let digits = |part: &str, range: std::ops::RangeInclusive<usize>| {
            range.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        let shaped = digits(whole, 1..=2) && part.is_none_or(|part| digits(part, 2..=2));
        shaped.then(|| Self(text.to_owned()))
    }

    /// The number as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Item 3.01, "Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing".
    pub fn is_listing_notice(&self) -> bool {
        self.0 == "3.01"
    }
}

impl fmt::Display for ItemNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The type EDGAR gives one document of a filing, such as `8-K` or `EX-99.1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentType(String);

impl DocumentType {
    /// Takes the type as EDGAR writes it, blanks around it dropped and letters in capitals.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_ascii_uppercase())
    }

    /// The type as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an additional exhibit: `EX-99`, `EX-99.1`, `EX-99.(A)`; press releases are filed as these.
    pub fn is_additional_exhibit(&self) -> bool {
        self.0.strip_prefix("EX-99").is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    }
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Text that should have been an identifier and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found \"{found}\"")]
pub struct ParseIdError {
    expected: &'static str,
    found: String,
}

impl ParseIdError {
    fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(80).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cik_prints_ten_digits_and_takes_any_number_of_leading_zeros() {
        for text in ["320193", "0000320193", "CIK0000320193"] {
            assert_eq!(text.parse::<Cik>().map(|cik| cik.to_string()), Ok("0000320193".into()));
        }
    }

    #[test]
    fn cik_with_a_letter_or_too_many_digits_is_refused() {
        for text in ["32O193", "", "12345678901", "0", "-1", "+1"] {
            let error = text.parse::<Cik>().expect_err(text).to_string();
            assert_eq!(error, format!("expected a CIK of 1 to 10 digits, found \"{text}\""));
        }
    }

    #[test]
    fn accession_number_is_taken_with_and_without_dashes() {
        for text in ["0001193125-25-120935", "000119312525120935"] {
            let accession: AccessionNumber = text.parse().expect(text);
            assert_eq!(accession.to_string(), "0001193125-25-120935");
            assert_eq!(accession.without_dashes(), "000119312525120935");
        }
    }

    #[test]
    fn accession_number_of_another_shape_is_refused() {
        for text in ["", "0001193125-25-12093", "0001193125/25/120935", "00011931252512093é", "0001193125-25-12O935"] {
            assert!(text.parse::<AccessionNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn items_are_two_part_numbers_or_old_bare_ones() {
        assert_eq!(ItemNumber::new(" 3.01 ").map(|item| item.is_listing_notice()), Some(true));
        assert_eq!(ItemNumber::new("5").map(|item| item.is_listing_notice()), Some(false));
        for text in ["3C", "3C.1", "06b", "3.1", "3.011", "", "Item 3.01"] {
            assert_eq!(ItemNumber::new(text), None, "{text}");
        }
    }

    #[test]
    fn press_releases_are_ex_99_and_its_parts_only() {
        for (text, expected) in [
            ("EX-99", true),
            ("EX-99.1", true),
            ("ex-99.4(b)", true),
            ("EX-99.(A)", true),
            ("EX-991", false),
            ("EX-10.99", false),
        ] {
            assert_eq!(DocumentType::new(text).is_additional_exhibit(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn identifiers_print_and_parse_back(cik in 1u64..=9_999_999_999, accession in 0u64..1_000_000_000_000_000_000) {
            let cik = Cik::from_number(cik).expect("in range");
            prop_assert_eq!(cik.to_string().parse::<Cik>(), Ok(cik));
            prop_assert_eq!(Cik::from_i64(cik.as_i64()), Some(cik));
            let accession = AccessionNumber(accession);
            prop_assert_eq!(accession.to_string().parse::<AccessionNumber>(), Ok(accession));
            prop_assert_eq!(accession.without_dashes().parse::<AccessionNumber>(), Ok(accession));
            prop_assert_eq!(AccessionNumber::from_i64(accession.as_i64()), Some(accession));
        }

        #[test]
        fn no_text_makes_an_identifier_panic(text in "\\PC{0,24}") {
            let _ = text.parse::<Cik>();
            let _ = text.parse::<AccessionNumber>();
            let _ = ItemNumber::new(&text);
        }
    }
}
