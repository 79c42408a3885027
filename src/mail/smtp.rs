//! A relay over SMTP (RFC 5321), on lettre's connection. Each step has its own time limit, because lettre's covers
//! connecting only, and one connection serves a whole pass.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use lettre::address::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;

use tokio::net::TcpStream;

use super::{DeliveryError, Envelope};
use crate::config::{SmtpSettings, SmtpTls};
use crate::fail_points::{self, Moment};
use crate::inbound::is_about_the_address;

/// Time limits of the steps of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct SmtpTimeouts {
    /// Until connected.
    pub connect: Duration,
    /// For greeting, EHLO, STARTTLS, AUTH, MAIL and RCPT.
    pub command: Duration,
    /// For DATA.
    pub data_start: Duration,
    /// From the first byte of the mail to the answer to the final dot.
    pub data: Duration,
}

impl Default for SmtpTimeouts {
    /// RFC 5321 4.5.3.2: five minutes for commands, two for DATA, ten for the answer to the final dot.
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self { connect: Duration::from_secs(30), command: minutes(5), data_start: minutes(2), data: minutes(10) }
    }
}

/// "Service not available, closing transmission channel".
const CLOSING: u16 = 421;

/// A relay and the connection to it, while one is open.
pub struct SmtpTransport {
    settings: SmtpSettings,
    timeouts: SmtpTimeouts,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    connection: Option<Connection>,
}

/// An open connection.
struct Connection {
    inner: AsyncSmtpConnection,
    /// Whether the relay takes commands before it has answered those before (RFC 2920); that is asked before its second mail.
    is_pipelined: Option<bool>,
}

impl std::fmt::Debug for SmtpTransport {
    /// Leaves the credentials out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpTransport").field("relay", &self.describe()).finish_non_exhaustive()
    }
}

impl SmtpTransport {
    /// Reads password and CA file; nothing is contacted.
    ///
    /// # Errors
    /// When either file cannot be read or used.
    pub fn new(settings: &SmtpSettings, timeouts: SmtpTimeouts) -> anyhow::Result<Self> {
        let tls = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(tls_parameters(settings)?),
        };
        let credentials = match &settings.login {
            None => None,
            Some((username, file)) => {
                let password =
                    std::fs::read_to_string(file).with_context(|| format!("password_file {}", file.display()))?;
                Some(Credentials::new(username.clone(), password.trim_end_matches(['\r', '\n']).to_owned()))
            }
        };
        Ok(Self { settings: settings.clone(), timeouts, tls, credentials, connection: None })
    }

    /// The relay, for people.
    pub fn describe(&self) -> String {
        let tls = match self.settings.tls {
            SmtpTls::None => "in the clear",
            SmtpTls::Starttls => "STARTTLS",
            SmtpTls::Implicit => "TLS",
        };
        format!("relay {}:{} ({tls})", self.settings.host, self.settings.port)
    }

    /// Sends one mail, connecting first where no connection is open.
    ///
    /// # Errors
    /// [`DeliveryError`]; after one the connection is given up.
    pub async fn send(&mut self, envelope: Envelope<'_>, bytes: &[u8]) -> Result<String, DeliveryError> {
        if let Some(mut connection) = self.connection.take() {
            // A relay closes connections that are idle or were used enough; that says nothing about the mail, so a new one is
            // tried at once.
            if self.ask_for_pipelining(&mut connection).await.is_ok() {
                match self.transact(connection, envelope, bytes).await {
                    Err(DeliveryError::Unreachable(_)) => {}
                    other => return other,
                }
            }
        }
        let connection = Connection { inner: self.connect().await?, is_pipelined: None };
        self.transact(connection, envelope, bytes).await
    }

    /// Connects, encrypts and logs in.
    ///
    /// # Errors
    /// [`DeliveryError::Unreachable`].
    pub async fn greet(&mut self) -> Result<(), DeliveryError> {
        self.connection = Some(Connection { inner: self.connect().await?, is_pipelined: None });
        self.close().await;
        Ok(())
    }

    /// Says QUIT.
    pub async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // The relay's answer to QUIT changes nothing.
            let _ = tokio::time::timeout(Duration::from_secs(2), connection.inner.quit()).await;
            fail_points::pass(Moment::After, "the answer to QUIT");
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, DeliveryError> {
        let SmtpSettings { host, port, .. } = &self.settings;
        let hello = ClientId::default();
        let address = (host.as_str(), *port);
        let implicit = self.tls.clone().filter(|_| self.settings.tls == SmtpTls::Implicit);
        let opened = if implicit.is_some() {
            // lettre starts TLS on connections of its own alone.
            let connect = Some(self.timeouts.connect);
            let open = AsyncSmtpConnection::connect_tokio1(address, connect, &hello, implicit, None);
            limit(self.timeouts.command, open).await
        } else {
            // lettre leaves Nagle's algorithm on, which holds every command up until the answer before it is acknowledged.
            let stream = match tokio::time::timeout(self.timeouts.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(self.unreachable(&Fault::Broken(error.to_string()))),
                Err(_) => {
                    let limit = self.timeouts.connect.as_secs_f32();
                    return Err(self.unreachable(&Fault::Broken(format!("no connection in {limit} s"))));
                }
            };
            // A socket that cannot be told so works all the same.
            let _ = stream.set_nodelay(true);
            limit(self.timeouts.command, AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)).await
        };
        let mut connection = opened.map_err(|fault| self.unreachable(&fault))?;
        fail_points::pass(Moment::After, "greeting and EHLO");
        if let (SmtpTls::Starttls, Some(tls)) = (self.settings.tls, self.tls.clone()) {
            limit(self.timeouts.command, connection.starttls(tls, &hello))
                .await
                .map_err(|fault| self.unreachable(&fault))?;
        }
        if let Some(credentials) = &self.credentials {
            limit(self.timeouts.command, connection.auth(DEFAULT_MECHANISMS, credentials))
                .await
                .map_err(|fault| self.unreachable(&fault))?;
        }
        Ok(connection)
    }

    /// Asks a relay that gets more than one mail whether it takes commands in one piece; lettre keeps that to itself.
    async fn ask_for_pipelining(&self, connection: &mut Connection) -> Result<(), Fault> {
        if connection.is_pipelined.is_none() {
            let hello = Ehlo::new(ClientId::default());
            let names_it = |reply: Response| reply.has_code(250) && reply.message().any(|line| line == "PIPELINING");
            connection.is_pipelined = match limit(self.timeouts.command, connection.inner.command(hello)).await {
                Ok(reply) => Some(names_it(reply)),
                // It was greeted before, and that holds.
                Err(Fault::Answered { .. }) => Some(false),
                Err(fault) => return Err(fault),
            };
        }
        Ok(())
    }

    /// One transaction. The connection is kept only after success: after a refusal its state is not worth guessing.
    async fn transact(
        &mut self,
        mut connection: Connection,
        envelope: Envelope<'_>,
        bytes: &[u8],
    ) -> Result<String, DeliveryError> {
        let mut parameters = Vec::new();
        if !bytes.is_ascii() && connection.inner.server_info().supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let (from, to) = (parse_address(envelope.from)?, parse_address(envelope.to)?);
        let (mail, rcpt) = (Mail::new(Some(from), parameters), Rcpt::new(to, Vec::new()));
        if let Err(refusal) = self.command(&mut connection, mail, rcpt).await {
            return Err(self.judged(refusal, connection).await);
        }
        // lettre writes the mail and its final dot in one step: from its first byte on, the mail may be the relay's.
        envelope.hand_over.begin();
        match limit(self.timeouts.data, connection.inner.message(bytes)).await {
            Ok(reply) => {
                fail_points::pass(Moment::After, "the answer to the final dot");
                self.connection = Some(connection);
                Ok(print_reply(&reply))
            }
            Err(fault) => Err(self.judged(Refusal { fault, of: Refused::Mail, n_to_come: 0 }, connection).await),
        }
    }

    /// MAIL, RCPT and DATA, one after the other or in one piece.
    async fn command(&self, connection: &mut Connection, mail: Mail, rcpt: Rcpt) -> Result<(), Refusal> {
        let SmtpTimeouts { command, data_start, .. } = self.timeouts;
        let has_served = connection.is_pipelined.is_some();
        let is_pipelined = connection.is_pipelined == Some(true);
        let inner = &mut connection.inner;
        let refused =
            |of, n_after: usize| move |fault| Refusal { fault, of, n_to_come: if is_pipelined { n_after } else { 0 } };
        let first = if is_pipelined { format!("{mail}{rcpt}{Data}") } else { mail.to_string() };
        match limit(command, inner.command(first)).await {
            Ok(_) => fail_points::pass(Moment::After, "the answer to MAIL"),
            // No answer to the first command means the connection was dead, not that the mail was judged.
            Err(fault @ Fault::Broken(_)) => return Err(refused(Refused::Connection, 0)(fault)),
            // Nor does the relay's goodbye on one that has served before (RFC 5321 3.8): it has had its fill of it.
            Err(fault @ Fault::Answered { code: CLOSING, .. }) if has_served => {
                return Err(refused(Refused::Connection, 0)(fault));
            }
            Err(fault) => return Err(refused(Refused::Mail, 2)(fault)),
        }
        let answer = async { if is_pipelined { inner.read_response().await } else { inner.command(rcpt).await } };
        limit(command, answer).await.map_err(refused(Refused::Recipient, 1))?;
        fail_points::pass(Moment::After, "the answer to RCPT");
        let answer = async { if is_pipelined { inner.read_response().await } else { inner.command(Data).await } };
        limit(data_start, answer).await.map_err(refused(Refused::Mail, 0))?;
        fail_points::pass(Moment::After, "the answer to DATA");
        Ok(())
    }

    /// A refusal of this mail. Without an answer the mail may have been taken, so it is tried again, with the same bytes.
    async fn judged(&self, refusal: Refusal, mut connection: Connection) -> DeliveryError {
        let Refusal { fault, of, n_to_come } = refusal;
        if let Refused::Connection = of {
            return self.unreachable(&fault);
        }
        let is_bad = matches!(of, Refused::Recipient)
            && matches!(&fault, Fault::Answered { code, text } if *code >= 500 && is_about_the_address(*code, text));
        if matches!(fault, Fault::Answered { .. }) {
            fail_points::pass(Moment::After, "a refusal");
        }
        let say_goodbye = async {
            let mut waits_for_mail = false;
            for _ in 0..n_to_come {
                waits_for_mail = connection.inner.read_response().await.is_ok_and(|reply| reply.has_code(354));
            }
            // Where the relay waits for the mail all the same, any word would be taken for it; a mail without its end is none.
            if !waits_for_mail {
                connection.inner.abort().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), say_goodbye).await;
        match fault {
            Fault::Answered { code, text } if is_bad => {
                DeliveryError::BadAddress(format!("relay answered {code} \"{text}\""))
            }
            Fault::Answered { code, text } if code >= 500 => {
                DeliveryError::Permanent(format!("relay answered {code} \"{text}\""))
            }
            Fault::Answered { code, text } => DeliveryError::Transient(format!("relay answered {code} \"{text}\"")),
            Fault::Broken(reason) => DeliveryError::NoAnswer(format!("relay gave no answer: {reason}")),
        }
    }

    fn unreachable(&self, fault: &Fault) -> DeliveryError {
        let relay = self.describe();
        DeliveryError::Unreachable(match fault {
            Fault::Answered { code, text } => format!("{relay} answered {code} \"{text}\""),
            Fault::Broken(reason) => format!("{relay}: {reason}"),
        })
    }
}

/// A step that failed, whom that concerns, and how many answers are to come to what was sent ahead.
struct Refusal {
    fault: Fault,
    of: Refused,
    n_to_come: usize,
}

enum Refused {
    Connection,
    Mail,
    Recipient,
}

/// Why a step failed.
#[derive(Debug)]
enum Fault {
    /// The relay said no.
    Answered { code: u16, text: String },
    /// There was no answer.
    Broken(String),
}

async fn limit<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Err(match error.status() {
                Some(code) => Fault::Answered { code: code.into(), text: text.replace('\n', " ") },
                None => Fault::Broken(text),
            })
        }
        Err(_) => Err(Fault::Broken(format!("no answer in {} s", limit.as_secs_f32()))),
    }
}

fn print_reply(reply: &Response) -> String {
    let text: Vec<&str> = reply.message().collect();
    format!("{} {}", reply.code(), text.join(" "))
}

fn parse_address(text: &str) -> Result<Address, DeliveryError> {
    text.parse().map_err(|error| DeliveryError::Permanent(format!("\"{text}\" is no mail address: {error}")))
}

/// The relay's certificate is checked against the given CA alone, or against the system's.
fn tls_parameters(settings: &SmtpSettings) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("ca_file {}", file.display()))?;
        let certificate = Certificate::from_pem(&pem).with_context(|| format!("ca_file {}", file.display()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build().with_context(|| format!("TLS for {}", settings.host))
}
