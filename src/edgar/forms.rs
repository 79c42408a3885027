//! Which queries of the feed cover the forms wanted.
//!
//! The feed's `type` is a prefix: `8-K` brings `8-K/A` and `8-K12B` as well, so forms that share a prefix cost one
//! query. Forms are compared exactly only after that.

use super::ids::FormType;

/// The prefixes to ask for, none of which is a prefix of another, in the order of the forms.
pub fn feed_prefixes(forms: &[FormType]) -> Vec<String> {
    let mut prefixes: Vec<String> = Vec::new();
    for form in forms {
        let form = form.as_str();
        if prefixes.iter().any(|prefix| form.starts_with(prefix.as_str())) {
            continue;
        }
        prefixes.retain(|prefix| !prefix.starts_with(form));
        prefixes.push(form.to_owned());
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(forms: &[&str], expected: &[&str]) {
        let forms: Vec<FormType> = forms.iter().map(|form| FormType::new(form)).collect();
        assert_eq!(feed_prefixes(&forms), expected);
    }

    #[test]
    fn forms_that_share_a_prefix_cost_one_query() {
        check(&["8-K", "8-K/A"], &["8-K"]);
        check(&["8-K/A", "8-K12B", "8-K"], &["8-K"]);
        check(&["8-K/A", "6-K"], &["8-K/A", "6-K"]);
        check(&["8-K", "8-K", "NT 10-K", "NT 10-Q"], &["8-K", "NT 10-K", "NT 10-Q"]);
    }
}
