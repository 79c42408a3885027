//! `test-mail`: one real mail, and the other side's own words about it.

use clap::Args;
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::alert::message_id;
use crate::mail::{Basics, DeliveryError, Envelope, Mailer, build_plain};

/// Arguments of `test-mail`.
#[derive(Debug, Args)]
pub(super) struct TestMailArgs {
    /// Where to send it
    address: String,
}

pub(super) async fn run(common: &Common, args: &TestMailArgs) -> Result<(), Failure> {
    let settings = common.load(Some(Level::WARN))?;
    let to: lettre::Address = args
        .address
        .parse()
        .map_err(|error| Failure::usage(format!("\"{}\" is no mail address: {error}", args.address)))?;
    let mut mailer = Mailer::new(&settings.mail).map_err(|error| Failure::config(format!("{error:#}")))?;
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
    let bytes = build_plain(&basics, text.to_owned())?;
    print(&format!("{} -> {to} over {}\n", from, mailer.describe()))?;
    let sent = mailer.send(Envelope { from: &from, to: &to, message_id: &message_id }, &bytes).await;
    mailer.close().await;
    match sent {
        Ok(reply) => print(&format!("sent: {reply}\n")),
        Err(error @ DeliveryError::Permanent(_)) => Err(Failure::failed(error)),
        Err(error) => Err(Failure::out_of_reach(error)),
    }
}
