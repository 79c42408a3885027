//! What EDGAR means by a 403. It answers so for three different things and only the body tells them apart.

use memchr::memmem;

/// The meaning of a 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// AccessDenied XML from the document store: the file does not exist, or not yet.
    NotPublished,
    /// "Your Request Originates from an Undeclared Automated Tool": the User-Agent is not accepted.
    UndeclaredTool,
    /// "You've Exceeded the SEC's Traffic Limit", or any page not known: asking on would prolong the block.
    Blocked,
}

/// Reads the body of a 403.
pub fn read_refusal(body: &[u8]) -> Refusal {
    let holds = |mark: &[u8]| memmem::find(body, mark).is_some();
    if holds(b"Undeclared Automated Tool") {
        Refusal::UndeclaredTool
    } else if holds(b"<Code>AccessDenied</Code>") {
        Refusal::NotPublished
    } else {
        Refusal::Blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_apart() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        assert_eq!(read_refusal(xml), Refusal::NotPublished);
        let tool = b"<h1>Your Request Originates from an Undeclared Automated Tool</h1>";
        assert_eq!(read_refusal(tool), Refusal::UndeclaredTool);
        assert_eq!(read_refusal(b"<title>Traffic Limit</title>"), Refusal::Blocked);
        assert_eq!(read_refusal(b""), Refusal::Blocked);
    }
}
