//! Delivery status notifications (RFC 3464) and what their codes (RFC 3463) mean for an address.

use mail_parser::{Message, MimeHeaders, PartType};

/// What a bounce says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BounceKind {
    /// It takes no mail, and will not.
    Hard,
    /// This mail was not taken; the next may be.
    Soft,
    /// It is still being tried, or was delivered.
    Pending,
}

/// A bounce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// What it says of the address.
    pub kind: BounceKind,
    /// In the server's words, one line.
    pub words: String,
}

const MAX_WORDS: usize = 300;

/// Status codes (RFC 3463) that are about the address: it does not exist, has moved, or is disabled. Other failures of
/// class 5 are about the mail or about us: a full mailbox, a size, a policy.
const ABOUT_THE_ADDRESS: [&str; 7] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"];

/// Whether a reply to RCPT says that the address takes no mail: by its enhanced code where it has one, else by the codes
/// of RFC 5321 4.2.3 that are about a mailbox.
pub fn is_about_the_address(code: u16, text: &str) -> bool {
    match text.split_whitespace().next().filter(|word| is_status(word)) {
        Some(status) => ABOUT_THE_ADDRESS.contains(&status),
        None => matches!(code, 550 | 551 | 553) && !is_about_us(text),
    }
}

/// A 550 without an enhanced code may as well be a policy (RFC 5321 4.2.3): what a relay says of us must not silence everyone.
fn is_about_us(text: &str) -> bool {
    const WORDS: [&str; 13] = [
        "relay",
        "policy",
        "spam",
        "block",
        "blacklist",
        "denied",
        "authenti",
        "sender",
        "reputation",
        "not permitted",
        "not allowed",
        "spf",
        "dkim",
    ];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

fn is_status(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
    };
    is_number(parts.next()) && is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none()
}

/// What a notification says; `None` when the mail is none. Every mail of ours has one recipient, so the first recipient
/// with an action counts.
pub(super) fn find_bounce(mail: &Message<'_>) -> Option<Bounce> {
    let part = mail.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("message")
                && kind.subtype().is_some_and(|kind| kind.eq_ignore_ascii_case("delivery-status"))
        })
    })?;
    let text = match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.to_string(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        PartType::Message(_) | PartType::Multipart(_) => return None,
    };
    read_status(&text)
}

fn read_status(text: &str) -> Option<Bounce> {
    // Folded fields are one line.
    let text = text.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    let field = |group: &str, name: &str| -> Option<String> {
        group.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    // The first group is about the message, each further one about a recipient.
    let (group, action) = text.split("\n\n").find_map(|group| Some((group, field(group, "Action")?)))?;
    let status = field(group, "Status").unwrap_or_default();
    let status = status.split_whitespace().next().unwrap_or_default();
    let diagnostic = field(group, "Diagnostic-Code").unwrap_or_default();
    let diagnostic = diagnostic.split_once(';').map_or(diagnostic.as_str(), |(_, words)| words).trim();
    // Some servers give no detail but in the words of the other side.
    let in_words = diagnostic.split(|c: char| !(c.is_ascii_digit() || c == '.')).find(|word| is_status(word));
    let status = if status.ends_with(".0.0") { in_words.unwrap_or(status) } else { status };
    let kind = match action.to_ascii_lowercase().as_str() {
        "failed" if ABOUT_THE_ADDRESS.contains(&status) => BounceKind::Hard,
        "failed" => BounceKind::Soft,
        _ => BounceKind::Pending,
    };
    let words = format!("{} {status} {diagnostic}", action.to_ascii_lowercase());
    Some(Bounce {
        kind,
        words: words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\n\
        Final-Recipient: rfc822; desk@example.net\r\nAction: ACTION\r\nStatus: STATUS\r\n\
        Diagnostic-Code: smtp; 550 5.1.1 <desk@example.net>:\r\n    no such user\r\n";

    fn read(action: &str, status: &str) -> Option<Bounce> {
        read_status(&STATUS.replace("ACTION", action).replace("STATUS", status))
    }

    #[test]
    fn a_failure_about_the_address_is_hard() {
        let bounce = read("failed", "5.1.1").expect("a bounce");
        assert_eq!(bounce.kind, BounceKind::Hard);
        assert_eq!(bounce.words, "failed 5.1.1 550 5.1.1 <desk@example.net>: no such user");
        for (action, status, kind) in [
            ("failed", "5.2.2", BounceKind::Soft),
            ("failed", "5.7.1", BounceKind::Soft),
            ("failed", "4.4.7", BounceKind::Soft),
            ("delayed", "4.4.1", BounceKind::Pending),
            ("delivered", "2.0.0", BounceKind::Pending),
            ("Failed", "5.1.1 (bad mailbox)", BounceKind::Hard),
            ("failed", "5.0.0", BounceKind::Hard),
        ] {
            assert_eq!(read(action, status).map(|bounce| bounce.kind), Some(kind), "{action} {status}");
        }
        assert_eq!(read_status("Reporting-MTA: dns; mx.example.net\n"), None);
    }

    #[test]
    fn a_refusal_at_rcpt_is_about_the_address_or_not() {
        assert!(is_about_the_address(550, "5.1.1 no such user"));
        assert!(is_about_the_address(550, "no such user"));
        assert!(!is_about_the_address(550, "5.7.1 relaying denied"));
        assert!(!is_about_the_address(554, "5.7.1 relay access denied"));
        assert!(!is_about_the_address(552, "mailbox full"));
        assert!(!is_about_the_address(550, "relay not permitted"));
    }
}
