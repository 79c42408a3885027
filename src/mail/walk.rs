//! One delivery told step by step, in the relay's own words (RFC 5321): for `test-mail`.
//!
//! Deliveries go through lettre, which keeps what the relay says on the way, and the version of TLS, to itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use data_encoding::BASE64;
use lettre::transport::smtp::extension::ClientId;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{DeliveryError, Envelope};
use crate::config::{SmtpSettings, SmtpTls};

/// Somebody waits for it.
const STEP_WITHIN: Duration = Duration::from_secs(30);
/// A relay that says more at once is none.
const MOST_LINES: usize = 100;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A relay that is being talked to.
struct Talk<'a> {
    wire: BufStream<Box<dyn Wire>>,
    tell: &'a mut (dyn FnMut(&str, &str) + Send),
}

/// What a relay answered.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// Sends one mail over a relay and tells each step and what the relay said to it.
///
/// # Errors
/// [`DeliveryError`], in the words of the step that failed.
pub async fn walk(
    settings: &SmtpSettings,
    envelope: Envelope<'_>,
    bytes: &[u8],
    tell: &mut (dyn FnMut(&str, &str) + Send),
) -> Result<(), DeliveryError> {
    let unreachable = |words: String| DeliveryError::Unreachable(words);
    let SmtpSettings { host, port, .. } = settings;
    let found = within(tokio::net::lookup_host((host.as_str(), *port))).await.map_err(unreachable)?;
    let addresses: Vec<_> = found.map_err(|error| unreachable(format!("{host}: {error}")))?.collect();
    let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    tell("look up", &format!("{host} is {}", listed.join(", ")));
    let connected = within(TcpStream::connect(addresses.as_slice())).await.map_err(unreachable)?;
    let stream = connected.map_err(|error| unreachable(format!("{host}:{port}: {error}")))?;
    let peer = stream.peer_addr().map_or_else(|_| format!("{host}:{port}"), |peer| peer.to_string());
    tell("connect", &peer);

    let wire: Box<dyn Wire> = if settings.tls == SmtpTls::Implicit {
        Box::new(encrypt(settings, stream, tell).await.map_err(unreachable)?)
    } else {
        Box::new(stream)
    };
    let mut talk = Talk { wire: BufStream::new(wire), tell };
    let greeting = talk.read().await?;
    talk.judge("greeting", greeting)?;
    let hello = format!("EHLO {}", ClientId::default());
    let mut extensions = talk.ask(&hello, "EHLO").await?;
    if settings.tls == SmtpTls::Starttls {
        talk.ask("STARTTLS", "STARTTLS").await?;
        let Talk { wire, tell } = talk;
        let wire = encrypt(settings, wire.into_inner(), tell).await.map_err(unreachable)?;
        talk = Talk { wire: BufStream::new(Box::new(wire)), tell };
        extensions = talk.ask(&hello, "EHLO").await?;
    }
    if let Some((username, file)) = &settings.login {
        let password = std::fs::read_to_string(file)
            .map_err(|error| DeliveryError::Unreachable(format!("{}: {error}", file.display())))?;
        talk.log_in(username, password.trim_end_matches(['\r', '\n']), &extensions).await?;
    }
    let is_eight_bit = !bytes.is_ascii() && extensions.lines.iter().any(|line| line.eq_ignore_ascii_case("8BITMIME"));
    let body = if is_eight_bit { " BODY=8BITMIME" } else { "" };
    talk.ask(&format!("MAIL FROM:<{}>{body}", envelope.from), "MAIL").await?;
    talk.ask(&format!("RCPT TO:<{}>", envelope.to), "RCPT").await?;
    talk.ask("DATA", "DATA").await?;
    let mut data = stuffed(bytes);
    data.extend(b".");
    let data = String::from_utf8_lossy(&data).into_owned();
    talk.ask(&data, "final dot").await?;
    // The mail is taken, whatever is said now.
    let _ = talk.ask("QUIT", "QUIT").await;
    Ok(())
}

/// Lines that begin with a dot get another (RFC 5321 4.5.2).
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend(b"\r\n");
    }
    out
}

async fn within<T>(step: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(STEP_WITHIN, step).await.map_err(|_| format!("no answer in {} s", STEP_WITHIN.as_secs()))
}

async fn encrypt<S: AsyncRead + AsyncWrite + Send + Unpin>(
    settings: &SmtpSettings,
    stream: S,
    tell: &mut (dyn FnMut(&str, &str) + Send),
) -> Result<TlsStream<S>, String> {
    let config = trust(settings).map_err(|error| format!("{error:#}"))?;
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| format!("{}: {error}", settings.host))?;
    let connect = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = within(connect).await?.map_err(|error| format!("TLS with {}: {error}", settings.host))?;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
    let suite = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    tell("TLS", &format!("{version}, {suite}, certificate good for {}", settings.host));
    Ok(stream)
}

/// The same trust as for deliveries: the given CA alone, or the system's.
fn trust(settings: &SmtpSettings) -> anyhow::Result<rustls::ClientConfig> {
    let Some(file) = &settings.ca_file else { return crate::tls::client_config(true) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(|| file.display().to_string())? {
        roots.add(certificate?)?;
    }
    crate::tls::client_config_with(roots)
}

impl Talk<'_> {
    async fn read(&mut self) -> Result<Reply, DeliveryError> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = within(self.wire.read_until(b'\n', &mut line)).await.map_err(DeliveryError::NoAnswer)?;
            let n_read = read.map_err(|error| DeliveryError::NoAnswer(error.to_string()))?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let (Some(code), true) = (code, n_read > 0 && lines.len() < MOST_LINES) else {
                return Err(DeliveryError::NoAnswer(format!("no SMTP reply: \"{line}\"")));
            };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// Says a line and reads the answer. `step` stands for the line in what is told: it may hold secrets.
    async fn ask(&mut self, line: &str, step: &str) -> Result<Reply, DeliveryError> {
        let reply = self.say(line).await?;
        self.judge(step, reply)
    }

    async fn say(&mut self, line: &str) -> Result<Reply, DeliveryError> {
        let write = async {
            self.wire.write_all(line.as_bytes()).await?;
            self.wire.write_all(b"\r\n").await?;
            self.wire.flush().await
        };
        let wrote = within(write).await.map_err(DeliveryError::NoAnswer)?;
        wrote.map_err(|error| DeliveryError::NoAnswer(error.to_string()))?;
        self.read().await
    }

    fn judge(&mut self, step: &str, reply: Reply) -> Result<Reply, DeliveryError> {
        let words = format!("{} {}", reply.code, reply.lines.join(" | "));
        (self.tell)(step, &words);
        match reply.code {
            200..=399 => Ok(reply),
            400..=499 => Err(DeliveryError::Transient(format!("{step}: relay answered {words}"))),
            _ => Err(DeliveryError::Permanent(format!("{step}: relay answered {words}"))),
        }
    }

    /// PLAIN (RFC 4616) where it is offered, else LOGIN.
    async fn log_in(&mut self, username: &str, password: &str, extensions: &Reply) -> Result<(), DeliveryError> {
        let offered = extensions.lines.iter().find_map(|line| line.strip_prefix("AUTH ")).unwrap_or_default();
        if offered.split(' ').any(|mechanism| mechanism == "PLAIN") || !offered.contains("LOGIN") {
            let secret = BASE64.encode(format!("\0{username}\0{password}").as_bytes());
            self.ask(&format!("AUTH PLAIN {secret}"), "AUTH PLAIN").await?;
        } else {
            self.ask("AUTH LOGIN", "AUTH LOGIN").await?;
            self.ask(&BASE64.encode(username.as_bytes()), "username").await?;
            self.ask(&BASE64.encode(password.as_bytes()), "password").await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\n"), b"a\r\n..\r\n...b\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n");
    }
}
