//! What DNS says of the domain that mails come from: SPF (RFC 7208), DMARC (RFC 7489) and DKIM (RFC 6376). Hints for
//! `test-mail`: nothing here decides anything.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use crate::config::MailSettings;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Looks the records up and says what is there, what is missing and what to publish, a line each.
pub async fn hints(mail: &MailSettings) -> Vec<String> {
    let resolver = match TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build) {
        Ok(resolver) => resolver,
        Err(error) => return vec![format!("DNS cannot be asked: {error}")],
    };
    let domain = mail.from.email.domain();
    let mut lines = Vec::new();
    match lookup(&resolver, domain).await {
        Err(reason) => {
            lines.push(format!("DNS cannot be asked: {reason}"));
            lines.extend(mail.dkim.iter().map(|key| {
                let (name, value) = key.record();
                format!("DKIM, to be published: {name} TXT \"{value}\"")
            }));
            return lines;
        }
        Ok(records) => lines.push(match records.iter().filter(|text| text.starts_with("v=spf1")).count() {
            0 => format!("SPF: {domain} has no record (v=spf1): say there which relays send for it"),
            1 => format!("SPF: {}", records.iter().find(|text| text.starts_with("v=spf1")).map_or("", String::as_str)),
            n => format!("SPF: {domain} has {n} records, and receivers take none of them (RFC 7208 4.5)"),
        }),
    }
    let name = format!("_dmarc.{domain}");
    lines.push(match lookup(&resolver, &name).await {
        Ok(records) => match records.iter().find(|text| text.starts_with("v=DMARC1")) {
            Some(record) => format!("DMARC: {record}"),
            None => format!("DMARC: {name} has no record: large receivers want one, \"v=DMARC1; p=none\" at least"),
        },
        Err(reason) => format!("DMARC: {reason}"),
    });
    for key in &mail.dkim {
        let (name, value) = key.record();
        lines.push(match lookup(&resolver, &name).await {
            Ok(records)
                if records.iter().any(|text| text.replace(' ', "").contains(&format!("p={}", key.public_key()))) =>
            {
                format!("DKIM: {name} is the key that signs here ({})", key.algorithm())
            }
            Ok(records) if records.is_empty() => format!("DKIM: publish {name} TXT \"{value}\""),
            Ok(_) => format!("DKIM: {name} is another key: publish TXT \"{value}\""),
            Err(reason) => format!("DKIM: {reason}"),
        });
    }
    if mail.dkim.is_empty() {
        lines.push("DKIM: mails are not signed here ([[mail.dkim]]); the relay may sign them".to_owned());
    }
    lines
}

/// The TXT records of a name, each in one piece; none where there is none.
async fn lookup(resolver: &TokioResolver, name: &str) -> Result<Vec<String>, String> {
    let found = tokio::time::timeout(ANSWER_WITHIN, resolver.txt_lookup(format!("{name}.")))
        .await
        .map_err(|_| format!("no answer in {} s", ANSWER_WITHIN.as_secs()))?;
    match found {
        Ok(found) => Ok(found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::TXT(text) => Some(text.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
                _ => None,
            })
            .collect()),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}
