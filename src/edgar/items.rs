//! The items of Form 8-K, between the titles that a submission's header spells out and the numbers people use.
//!
//! Form 8-K, General Instructions; the numbering of before 23 August 2004 from Release 33-8400.

use super::ids::ItemNumber;

/// Titles as headers have them, today's numbering first. Headers differ in case and punctuation.
const TITLES: &[(&str, &str)] = &[
    ("1.01", "Entry into a Material Definitive Agreement"),
    ("1.02", "Termination of a Material Definitive Agreement"),
    ("1.03", "Bankruptcy or Receivership"),
    ("1.04", "Mine Safety - Reporting of Shutdowns and Patterns of Violations"),
    ("1.05", "Material Cybersecurity Incidents"),
    ("2.01", "Completion of Acquisition or Disposition of Assets"),
    ("2.02", "Results of Operations and Financial Condition"),
    ("2.03", "Creation of a Direct Financial Obligation or an Obligation under an Off-Balance Sheet Arrangement"),
    ("2.04", "Triggering Events That Accelerate or Increase a Direct Financial Obligation"),
    ("2.05", "Cost Associated with Exit or Disposal Activities"),
    ("2.05", "Costs Associated with Exit or Disposal Activities"),
    ("2.06", "Material Impairments"),
    ("3.01", "Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard"),
    ("3.02", "Unregistered Sales of Equity Securities"),
    ("3.03", "Material Modifications to Rights of Security Holders"),
    ("3.03", "Material Modification to Rights of Security Holders"),
    ("4.01", "Changes in Registrant's Certifying Accountant"),
    ("4.02", "Non-Reliance on Previously Issued Financial Statements"),
    ("5.01", "Changes in Control of Registrant"),
    ("5.02", "Departure of Directors or Certain Officers"),
    ("5.02", "Departure of Directors or Principal Officers"),
    ("5.03", "Amendments to Articles of Incorporation or Bylaws"),
    ("5.04", "Temporary Suspension of Trading Under Registrant's Employee Benefit Plans"),
    ("5.05", "Amendments to the Registrant's Code of Ethics"),
    ("5.06", "Change in Shell Company Status"),
    ("5.07", "Submission of Matters to a Vote of Security Holders"),
    ("5.08", "Shareholder Director Nominations"),
    ("6.01", "ABS Informational and Computational Material"),
    ("6.02", "Change of Servicer or Trustee"),
    ("6.03", "Change in Credit Enhancement or Other External Support"),
    ("6.04", "Failure to Make a Required Distribution"),
    ("6.05", "Securities Act Updating Disclosure"),
    ("7.01", "Regulation FD Disclosure"),
    ("8.01", "Other Events"),
    ("9.01", "Financial Statements and Exhibits"),
];

/// The old numbering, where one title has another number than today.
const OLD_TITLES: &[(&str, &str)] = &[
    ("1", "Changes in control of registrant"),
    ("2", "Acquisition or disposition of assets"),
    ("3", "Bankruptcy or receivership"),
    ("4", "Changes in registrant's certifying accountant"),
    ("5", "Other events"),
    ("6", "Resignations of registrant's directors"),
    ("7", "Financial statements and exhibits"),
    ("8", "Change in fiscal year"),
    ("9", "Regulation FD Disclosure"),
    ("10", "Amendments to the Registrant's Code of Ethics"),
    ("11", "Temporary Suspension of Trading Under Registrant's Employee Benefit Plans"),
    ("12", "Results of Operations and Financial Condition"),
];

/// The number behind a header's item line, which holds a title today and a bare number in 1994. `old` chooses the
/// numbering of before 23 August 2004. `None` for a title no table knows.
pub fn item_number(line: &str, old: bool) -> Option<ItemNumber> {
    if let Some(number) = ItemNumber::new(line) {
        return Some(number);
    }
    let key = fold(line);
    let (first, second) = if old { (OLD_TITLES, TITLES) } else { (TITLES, OLD_TITLES) };
    first
        .iter()
        .chain(second)
        .find(|(_, title)| !key.is_empty() && key.starts_with(&fold(title)))
        .and_then(|(number, _)| ItemNumber::new(number))
}

fn fold(title: &str) -> String {
    title.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, old: bool, expected: Option<&str>) {
        assert_eq!(item_number(line, old).as_ref().map(ItemNumber::as_str), expected, "{line}");
    }

    #[test]
    fn titles_become_numbers() {
        check(
            "Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing",
            false,
            Some("3.01"),
        );
        check("Departure of Directors or Certain Officers: Compensatory Arrangements", false, Some("5.02"));
        check("Other events", false, Some("8.01"));
        check("Other events", true, Some("5"));
        check("5", true, Some("5"));
        check("", true, None);
        check("An item of the year 2050", false, None);
    }
}
