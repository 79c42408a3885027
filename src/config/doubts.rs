//! What a configuration says well and means badly: worth a warning, and no reason to stand still.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Settings;
use crate::edgar::forms::feed_prefixes;

/// What is doubtful in a configuration that was read from `file`, a line each.
pub fn doubts(settings: &Settings, file: &Path) -> Vec<String> {
    let mut doubts = Vec::new();
    doubts.extend(budget(settings));
    let subscribed = settings.subscriptions.iter().enumerate();
    let subscribed = subscribed.map(|(index, own)| (format!("subscription[{index}]"), own.id.as_str(), &own.terms));
    let hooked = settings.webhooks.iter().enumerate();
    let hooked = hooked.map(|(index, own)| (format!("webhook[{index}]"), own.name.as_str(), &own.terms));
    for (key, name, _) in subscribed.chain(hooked).filter(|(_, _, terms)| !terms.filter.can_match()) {
        doubts.push(format!(
            "{key}: {name} can never match: no news is of these kinds, bases, exchanges and confidence at once"
        ));
    }
    for (key, secret) in &settings.secrets {
        let path = if secret.as_os_str().is_empty() { file } else { secret };
        doubts.extend(is_open_to_all(path).then(|| {
            let path = path.display();
            format!("{key}: every user of this machine may read {path}: chmod o-r {path}")
        }));
    }
    doubts
}

/// More is asked of EDGAR than the budget gives.
fn budget(settings: &Settings) -> Option<String> {
    let n_queries = feed_prefixes(&settings.watch.forms).len();
    let interval = settings.poll.interval;
    let needed = f64::from(u32::try_from(n_queries).unwrap_or(u32::MAX)) / interval.as_secs_f64();
    let given = settings.pace.per_second();
    (needed > f64::from(given)).then(|| {
        let interval = humantime::format_duration(interval);
        format!(
            "poll.interval: {n_queries} queries every {interval} are {needed:.0} requests a second, and \
             edgar.max_requests_per_second gives {given}: polls will come late, and filings later"
        )
    })
}

/// Whether everybody may read a file and pass through every folder on the way to it. One that is not there is a fault of its
/// own.
fn is_open_to_all(path: &Path) -> bool {
    let lets_others = |path: &Path, bit: u32| std::fs::metadata(path).is_ok_and(|file| file.mode() & bit != 0);
    let mut folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    lets_others(path, 0o004) && folders.all(|folder| lets_others(folder, 0o001))
}
