//! The integration tests, one binary. A comment above each module says what belongs there.

mod support;

// A feed in, one mail out: the whole path, and what must not be mailed.
mod faults;
mod feed_to_mail;

// The same letter in more than one filing: withheld, corrected, marked.
mod linking;

// Configuration: the example and each bad file.
mod config;

// How EDGAR is asked: User-Agent, pace, refusals, limits.
mod fair_access;

// Delivery: what each answer of the relay leads to.
mod delivery;

// The binary itself: help, exit codes, output, signals.
mod backfill;
mod cli;
mod completeness;

// `evaluate`: what it prints, and when it fails.
mod evaluate;

// The store on bad days: newer schemas, no rights, a full disk, garbage.
mod self_watch;
mod state;

// Labelled notices, ours and those shared: floors for the reading.
mod corpus;

// Texts made to break the reading.
mod reread;
mod robust;

// Real EDGAR files through every parser, against scans that share no code with them.
mod real_bytes;

// Real documents as text, letter by letter against a crude reading.
mod real_text;

// Two real days of the feed behind a loopback EDGAR: nothing missed, nothing twice, whatever happens between.
mod replay;

// One test for each defect found, named after it.
mod regression;
