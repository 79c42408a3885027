//! The integration tests, one binary. A comment above each module says what belongs there.

mod support;

// A feed in, one mail out: the whole path, and what must not be mailed.
mod feed_to_mail;

// Nothing is passed by: days reconciled with EDGAR's indexes, backfills, readings made anew, the watch over itself.
mod backfill;
mod completeness;
mod reread;
mod self_watch;

// Every endpoint and every step of a relay goes wrong in every way; weeks and a year of simulated time.
mod faults;
mod year;

// The same letter in more than one filing: withheld, corrected, marked.
mod linking;

// Mail that comes back, and subscriptions from the command line.
mod inbound;

// The pages: consent, abuse, what everybody sees.
mod pages;

// Configuration: the example and each bad file.
mod config;

// How EDGAR is asked: User-Agent, pace, refusals, limits.
mod fair_access;

// More than one way out: webhooks, relays for some domains.
mod ways;

// Real peers: a mail server, a verifier of signatures, a parser of mails.
mod peers;

// Delivery: what each answer of the relay leads to.
mod delivery;

// README and docs/: their commands run, their configurations load.
mod docs;

// The binary itself: help, exit codes, output, signals.
mod cli;

// `evaluate`: what it prints, and when it fails.
mod evaluate;

// The daemon as a service manager and those who watch over it see it; copies of its store.
mod service;

// The store on bad days: newer schemas, no rights, a full disk, garbage.
mod state;
mod subscriptions;

// Several processes on one store, and a store that goes from one database to another.
mod shared_store;

// Labelled notices, ours and those shared: floors for the reading.
mod corpus;

// Texts made to break the reading.
mod robust;

// Real EDGAR files through every parser, against scans that share no code with them.
mod real_bytes;

// Real documents as text, letter by letter against a crude reading.
mod real_text;

// Two real days of the feed behind a loopback EDGAR: nothing missed, nothing twice, whatever happens between.
mod replay;

// One test for each defect found, named after it.
mod regression;
