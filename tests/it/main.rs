//! The integration tests, one binary. A comment above each module says what belongs there.

mod support;

// A feed in, one mail out: the whole path, and what must not be mailed.
mod feed_to_mail;
