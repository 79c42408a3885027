//! A relay on loopback, scripted step by step.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rcgen::{Certificate, CertificateParams, CertifiedIssuer, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A step of a transaction, as the client reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The final dot.
    Dot,
    Quit,
}

/// What the relay does at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The usual answer.
    Go,
    /// This answer.
    Say(&'static str),
    /// The usual answer, once a mail to this address was taken.
    GoAfterMailTo(&'static str),
    /// The usual answer, once the relay is told to go on.
    GoWhenTold,
    /// No answer, the connection stays open.
    Hang,
    /// No answer, the connection closes.
    Close,
}

type Mails = Arc<watch::Sender<Vec<Taken>>>;
type Script = Arc<dyn Fn(Step, &str) -> Act + Send + Sync>;

/// A mail that the relay took.
#[derive(Debug, Clone)]
pub struct Taken {
    pub from: String,
    pub to: String,
    pub bytes: Vec<u8>,
    /// When it was there as a whole; tests/cluster.rs alone asks.
    #[allow(dead_code)]
    pub at: Instant,
}

/// A running relay; it stops when dropped.
pub struct FakeSmtp {
    port: u16,
    shared: Shared,
    n_connections: Arc<Mutex<usize>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    taken: Mails,
    seen: Mails,
    script: Script,
    told: Arc<watch::Sender<bool>>,
    /// Whether PIPELINING is offered, and for how many mails MAIL, RCPT and DATA came in one piece.
    pipelining: Arc<Mutex<Option<usize>>>,
    /// What STARTTLS is answered with, where it is offered.
    tls: Arc<Mutex<Option<TlsAcceptor>>>,
}

impl Drop for FakeSmtp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeSmtp {
    /// A relay that takes everything.
    pub async fn start() -> Self {
        Self::scripted(|_, _| Act::Go).await
    }

    /// A relay that does as `script` says; the text is the client's line.
    pub async fn scripted(script: impl Fn(Step, &str) -> Act + Send + Sync + 'static) -> Self {
        Self::scripted_on(IpAddr::from([127, 0, 0, 1]), script).await
    }

    /// The same on an address of this machine that others may reach.
    pub async fn scripted_on(address: IpAddr, script: impl Fn(Step, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Shared {
            taken: Mails::default(),
            seen: Mails::default(),
            script: Arc::new(script),
            told: Arc::default(),
            pipelining: Arc::default(),
            tls: Arc::default(),
        };
        let n_connections = Arc::new(Mutex::new(0));
        let (serving, counted) = (shared.clone(), n_connections.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().expect("no test panics while holding it") += 1;
                tokio::spawn(serve(Box::new(stream), serving.clone()));
            }
        });
        Self { port, shared, n_connections, server }
    }

    /// Offers STARTTLS from now on, with a certificate for a host name from an authority.
    pub fn offer_tls(&self, authority: &Authority, host: &str) {
        *self.shared.tls.lock().expect("no test panics while holding it") = Some(authority.acceptor(host));
    }

    /// Offers PIPELINING from now on.
    pub fn offer_pipelining(&self) {
        *self.shared.pipelining.lock().expect("no test panics while holding it") = Some(0);
    }

    /// How many mails' commands came in one piece since it was offered.
    pub fn n_pipelined(&self) -> usize {
        self.shared.pipelining.lock().expect("no test panics while holding it").unwrap_or(0)
    }

    /// Lets every step go on that waits for it, now and later.
    pub fn tell(&self) {
        self.shared.told.send_replace(true);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Mails the relay has said yes to.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.borrow().clone()
    }

    /// Mails that arrived whole, whatever the relay answered.
    pub fn seen(&self) -> Vec<Taken> {
        self.shared.seen.borrow().clone()
    }

    /// Waits until so many mails have arrived whole.
    pub async fn until_seen(&self, n: usize) {
        self.shared.seen.subscribe().wait_for(|seen| seen.len() >= n).await.expect("the relay runs");
    }

    pub fn n_connections(&self) -> usize {
        *self.n_connections.lock().expect("no test panics while holding it")
    }
}

/// An authority that signs certificates of relays.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// Its certificate, as `mail.smtp.ca_file` has it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host name, and its key.
    pub fn certify(&self, host: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("parameters");
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        (params.signed_by(&key, issuer).expect("a certificate"), key)
    }

    fn acceptor(&self, host: &str) -> TlsAcceptor {
        let (certificate, key) = self.certify(host);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key for the certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}

trait Conversation: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Conversation for T {}
type Stream = BufReader<Box<dyn Conversation>>;

async fn serve(stream: Box<dyn Conversation>, shared: Shared) {
    let Shared { taken, seen, script, told, pipelining, tls } = shared;
    let mut stream = BufReader::new(stream);
    let mut is_encrypted = false;
    let (mut from, mut to) = (String::new(), String::new());
    if !step(&mut stream, script(Step::Greeting, ""), "220 relay.example ESMTP").await {
        return;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let go_on = match verb.as_str() {
            "EHLO" => {
                let has_tls = !is_encrypted && tls.lock().expect("no test panics while holding it").is_some();
                let offer = if has_tls { "250-STARTTLS\r\n" } else { "" };
                let pipelined =
                    pipelining.lock().expect("no test panics while holding it").map(|_| "250-PIPELINING\r\n");
                let offer = format!("{offer}{}", pipelined.unwrap_or_default());
                let usual = format!("250-relay.example\r\n{offer}250-AUTH PLAIN\r\n250 8BITMIME");
                step(&mut stream, script(Step::Ehlo, line), &usual).await
            }
            "STARTTLS" => {
                let act = script(Step::Starttls, line);
                let goes_on = act == Act::Go;
                if !step(&mut stream, act, "220 go ahead").await {
                    return;
                }
                let acceptor = tls.lock().expect("no test panics while holding it").clone();
                if let Some(acceptor) = acceptor.filter(|_| goes_on) {
                    let Ok(encrypted) = acceptor.accept(stream.into_inner()).await else { return };
                    stream = BufReader::new(Box::new(encrypted));
                    is_encrypted = true;
                }
                true
            }
            "AUTH" => step(&mut stream, script(Step::Auth, line), "235 2.7.0 welcome").await,
            "MAIL" => {
                from = bracketed(line);
                let ahead = String::from_utf8_lossy(stream.buffer()).into_owned();
                if ahead.starts_with("RCPT TO:") && ahead.ends_with("\r\nDATA\r\n") {
                    let mut pipelining = pipelining.lock().expect("no test panics while holding it");
                    *pipelining = Some(pipelining.map_or(1, |n| n + 1));
                }
                step(&mut stream, script(Step::Mail, line), "250 2.1.0 ok").await
            }
            "RCPT" => {
                to = bracketed(line);
                let mut act = script(Step::Rcpt, line);
                if let Act::GoAfterMailTo(other) = act {
                    let is_there = |taken: &Vec<Taken>| taken.iter().any(|mail| mail.to == other);
                    taken.subscribe().wait_for(is_there).await.expect("the relay runs");
                    act = Act::Go;
                }
                step(&mut stream, act, "250 2.1.5 ok").await
            }
            "DATA" => {
                let act = script(Step::Data, line);
                let accepted = act == Act::Go;
                if !step(&mut stream, act, "354 go ahead").await {
                    return;
                }
                if !accepted {
                    continue;
                }
                let Some(bytes) = read_data(&mut stream).await else { return };
                let mail = Taken { from: from.clone(), to: to.clone(), bytes, at: Instant::now() };
                seen.send_modify(|seen| seen.push(mail.clone()));
                let mut act = script(Step::Dot, &to);
                if act == Act::GoWhenTold {
                    told.subscribe().wait_for(|is_told| *is_told).await.expect("the relay runs");
                    act = Act::Go;
                }
                if act == Act::Go {
                    taken.send_modify(|taken| taken.push(mail));
                }
                step(&mut stream, act, "250 2.0.0 queued as 1").await
            }
            "QUIT" => {
                step(&mut stream, script(Step::Quit, line), "221 bye").await;
                return;
            }
            _ => step(&mut stream, Act::Go, "250 ok").await,
        };
        if !go_on {
            return;
        }
    }
}

/// `false` when the conversation is over.
async fn step(stream: &mut Stream, act: Act, usual: &str) -> bool {
    let answer = match act {
        Act::Go | Act::GoAfterMailTo(_) | Act::GoWhenTold => usual,
        Act::Say(answer) => answer,
        Act::Close => return false,
        Act::Hang => {
            // Until the client gives up and closes.
            let mut rest = String::new();
            while stream.read_line(&mut rest).await.unwrap_or(0) > 0 {}
            return false;
        }
    };
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_ok()
}

async fn read_data(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(bytes);
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn bracketed(line: &str) -> String {
    line.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(address, _)| address.to_owned())
        .unwrap_or_default()
}
