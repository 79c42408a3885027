//! EDGAR Watch: polls SEC EDGAR for a watchlist of issuers, reads each new 8-K and its exhibits, recognises when a
//! company reports a new NASDAQ staff determination, and mails those who subscribed.
//!
//! ```text
//! feed entry -> filing -> documents -> text -> events -> alert -> outbox -> mail
//! ```
//!
//! Modules in reading order. Those marked (pure) take values and return values: no network, file, database or clock.
//!
//! - [`edgar`]: all that knows EDGAR; pure but for [`edgar::client`]
//! - [`text`] (pure): a document's bytes -> normalised text
//! - [`classify`] (pure): text -> listing events with evidence
//! - [`reading`] (pure): a filing -> its documents' events, merged
//! - [`corpus`] (pure): documents with the answers a person gave
//! - [`evaluate`] (pure): readings held against those answers
//! - [`linking`] (pure): all events of an issuer -> which of them are about one letter, and what a later one changes
//! - [`alert`] (pure): a filing and its events -> alert, identities
//! - [`subscription`] (pure): who asked for an alert, and when each is told
//! - [`agenda`] (pure): what falls due when
//! - [`render`] (pure): an alert -> subject, text, HTML
//! - [`links`] (pure): the addresses in a mail that lead back here
//! - [`outbox`] (pure): when a message is tried again
//! - [`mail`]: SMTP, sendmail, folder
//! - [`inbound`] (pure): mail that comes back
//! - [`dns_hints`]: what DNS says of the sender's domain
//! - [`webhook`]: alerts as JSON to an address of the user's
//! - [`store`]: the only SQL
//! - [`passes`]: poll, read, deliver, and nothing but what joins the parts above
//! - [`tokens`] (pure): what links and return addresses are signed with
//! - [`tempo`] (pure): when the feed is asked next
//! - [`metrics`] (pure): what is counted and measured, as Prometheus reads it
//! - [`progress`]: proof that the loops of the daemon move
//! - [`heartbeat`]: a watchdog elsewhere is told that all is well
//! - [`web`]: pages for subscribers, and for everybody
//! - [`daemon`], [`cli`]: the passes in tasks, or one after the other
//! - [`config`], [`logging`], [`clock`], [`calendar`], [`files`], [`tls`], [`suggest`]: what the others stand on
//! - [`demo`]: an invented archive behind a loopback EDGAR
//! - [`fail_points`]: where a build for tests dies on request; empty in every other
//!
//! docs/ARCHITECTURE.md has the picture and the invariants.

pub mod agenda;
pub mod alert;
pub mod calendar;
pub mod classify;
pub mod cli;
pub mod clock;
pub mod config;
pub mod corpus;
pub mod daemon;
pub mod demo;
pub mod dns_hints;
pub mod edgar;
pub mod evaluate;
pub mod fail_points;
pub mod files;
pub mod heartbeat;
pub mod inbound;
pub mod linking;
pub mod links;
pub mod logging;
pub mod mail;
pub mod metrics;
pub mod outbox;
pub mod passes;
pub mod progress;
pub mod reading;
pub mod render;
pub mod store;
pub mod subscription;
pub mod suggest;
pub mod tempo;
pub mod text;
pub mod tls;
pub mod tokens;
pub mod web;
pub mod webhook;
