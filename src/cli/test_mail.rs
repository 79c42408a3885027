//! `test-mail`: one real mail, each step of its way and the other side's own words.

use clap::Args;
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::alert::message_id;
use crate::config::Transport;
use crate::dns_hints;
use crate::mail::{Basics, Envelope, HandOver, Mailer, build_plain, sign, walk};
use crate::passes::relay_for;

/// Arguments of `test-mail`.
#[derive(Debug, Args)]
pub(super) struct TestMailArgs {
    /// Where to send it
    address: String,
    /// Do not ask DNS about the sender's domain
    #[arg(long)]
    no_dns: bool,
}

pub(super) async fn run(common: &Common, args: &TestMailArgs) -> Result<(), Failure> {
    let settings = common.load(Some(Level::WARN))?;
    settings.require_credentials()?;
    let to: lettre::Address = args
        .address
        .parse()
        .map_err(|error| Failure::usage(format!("\"{}\" is no mail address: {error}", args.address)))?;
    let now = system_clock().now();
    let (to, from) = (to.to_string(), settings.mail.from.email.to_string());
    let message_id = message_id(&format!("test.{}", now.timestamp_micros()), &to);
    let basics = Basics {
        from: &settings.mail.from,
        to: &to,
        subject: "[edgar-watch] test mail",
        message_id: &message_id,
        date: now,
    };
    let text = "This mail was sent by edgar-watch test-mail.\nAlerts will come the same way.\n";
    let bytes = sign(&build_plain(&basics, text.to_owned())?, &settings.mail.dkim, now)?;
    let envelope = Envelope { from: &from, to: &to, message_id: &message_id, hand_over: &HandOver::default() };
    let route = relay_for(&settings, &to);
    let relay = route.or(match &settings.mail.transport {
        Transport::Smtp(smtp) => Some(smtp),
        Transport::Sendmail | Transport::Folder(_) => None,
    });
    let sent = match relay {
        Some(relay) => {
            let mailer = Mailer::for_relay(relay).map_err(|error| Failure::config(format!("{error:#}")))?;
            print(&format!("{from} -> {to} over {}\n", mailer.describe()))?;
            // A reader that has gone away must not stop the mail.
            let mut tell = |step: &str, words: &str| drop(print(&format!("{step:10} {words}\n")));
            walk(relay, envelope, &bytes, &mut tell).await.map(|()| "the relay has it".to_owned())
        }
        None => {
            let mut mailer = Mailer::new(&settings.mail).map_err(|error| Failure::config(format!("{error:#}")))?;
            print(&format!("{from} -> {to} over {}\n", mailer.describe()))?;
            mailer.send(envelope, &bytes).await
        }
    };
    if let Ok(reply) = &sent {
        print(&format!("sent: {reply}\n"))?;
    }
    if !args.no_dns && relay.is_some() {
        for line in dns_hints::hints(&settings.mail).await {
            print(&format!("{line}\n"))?;
        }
    }
    sent.map(drop).map_err(Failure::from)
}
