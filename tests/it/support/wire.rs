//! The wire between the program and a loopback EDGAR, on which one endpoint's answers go wrong.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens.
    Refused,
    /// The connection is closed before a byte of the answer.
    NoAnswer,
    /// The connection is reset in the middle of the body.
    ResetMidBody,
    /// The body comes a byte at a time, with a pause after each.
    Drip,
    /// 403 with the page of a block.
    Blocked,
    /// 429 with Retry-After in seconds.
    BusySeconds,
    /// 429 with Retry-After as a date.
    BusyDate,
    /// 500 without words.
    Failed,
    /// 503 with the page of a maintenance.
    Maintenance,
    /// The header promises more bytes than come.
    LengthTooLong,
    /// The header promises half of the bytes.
    LengthTooShort,
    /// A gzip stream without its end.
    TruncatedGzip,
    /// A small gzip stream of very many bytes.
    GzipBomb,
    /// A redirect to a host that nobody configured.
    Redirected,
    /// A page for people with status 200.
    Html,
}

impl Fault {
    pub const ALL: [Self; 15] = [
        Self::Refused,
        Self::NoAnswer,
        Self::ResetMidBody,
        Self::Drip,
        Self::Blocked,
        Self::BusySeconds,
        Self::BusyDate,
        Self::Failed,
        Self::Maintenance,
        Self::LengthTooLong,
        Self::LengthTooShort,
        Self::TruncatedGzip,
        Self::GzipBomb,
        Self::Redirected,
        Self::Html,
    ];
}

/// Decoded bytes of the bomb.
pub const BOMB_BYTES: usize = 4_000_000;
/// The pause after each byte of an answer that drips.
const DRIP: Duration = Duration::from_millis(50);

type IsHit = Arc<dyn Fn(&str) -> bool + Send + Sync>;
type Script = Arc<Mutex<Option<(Fault, IsHit)>>>;

/// A wire; it is cut when dropped.
pub struct Wire {
    port: u16,
    upstream: String,
    script: Script,
    n_hits: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Wire {
    /// A wire to the server at `upstream`, `http://` and an address.
    pub async fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let (script, n_hits) = (Script::default(), Arc::new(AtomicUsize::new(0)));
        let server = tokio::spawn(serve(listener, upstream.clone(), script.clone(), n_hits.clone()));
        Self { port, upstream, script, n_hits, server }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets the answers to requests whose target is hit go wrong from now on.
    pub async fn break_with(&mut self, fault: Fault, is_hit: impl Fn(&str) -> bool + Send + Sync + 'static) {
        if fault == Fault::Refused {
            self.server.abort();
            // The port is free once the task is gone.
            let _ = (&mut self.server).await;
            self.n_hits.fetch_add(1, Ordering::SeqCst);
            return;
        }
        *self.script.lock().expect("no test panics while holding it") = Some((fault, Arc::new(is_hit)));
    }

    /// Lets all answers through again.
    pub async fn mend(&mut self) {
        *self.script.lock().expect("no test panics while holding it") = None;
        if self.server.is_finished() {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the same port");
            self.server =
                tokio::spawn(serve(listener, self.upstream.clone(), self.script.clone(), self.n_hits.clone()));
        }
    }

    /// Answers that went wrong so far.
    pub fn n_hits(&self) -> usize {
        self.n_hits.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, upstream: String, script: Script, n_hits: Arc<AtomicUsize>) {
    // The conversations end with the listener.
    let mut conversations = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        conversations.spawn(answer(stream, upstream.clone(), script.clone(), n_hits.clone()));
    }
}

/// One request and its answer.
async fn answer(mut stream: TcpStream, upstream: String, script: Script, n_hits: Arc<AtomicUsize>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    let fault = script.lock().expect("no test panics while holding it").clone();
    let fault = fault.filter(|(_, is_hit)| is_hit(&target)).map(|(fault, _)| fault);
    n_hits.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    let html = "<html><head><title>SEC.gov</title></head><body><h1>Please try again</h1></body></html>";
    let retry_date = "Thu, 19 Mar 2026 16:45:00 GMT";
    match fault {
        Some(Fault::NoAnswer | Fault::Refused) => return None,
        Some(Fault::Blocked) => {
            let words = "<h1>Request Rate Threshold Exceeded</h1>";
            return say(&mut stream, "403 Forbidden", "", words.as_bytes()).await;
        }
        Some(Fault::BusySeconds) => {
            return say(&mut stream, "429 Too Many Requests", "Retry-After: 90\r\n", b"").await;
        }
        Some(Fault::BusyDate) => {
            let header = format!("Retry-After: {retry_date}\r\n");
            return say(&mut stream, "429 Too Many Requests", &header, b"").await;
        }
        Some(Fault::Failed) => return say(&mut stream, "500 Internal Server Error", "", b"").await,
        Some(Fault::Maintenance) => return say(&mut stream, "503 Service Unavailable", "", html.as_bytes()).await,
        Some(Fault::Redirected) => {
            return say(&mut stream, "302 Found", "Location: http://elsewhere.example/\r\n", b"").await;
        }
        Some(Fault::Html) => return say(&mut stream, "200 OK", "Content-Type: text/html\r\n", html.as_bytes()).await,
        Some(Fault::GzipBomb) => {
            let bomb = gzip(&vec![b' '; BOMB_BYTES]);
            return say(&mut stream, "200 OK", "Content-Encoding: gzip\r\n", &bomb).await;
        }
        _ => {}
    }
    let (status, body) = ask(&upstream, &head).await?;
    let n = body.len();
    match fault {
        None | Some(_) if !status.starts_with("200") => say(&mut stream, &status, "", &body).await,
        None => say(&mut stream, &status, "", &body).await,
        Some(Fault::ResetMidBody) => {
            write_head(&mut stream, &status, "", n).await?;
            stream.write_all(&body[..n / 2]).await.ok()?;
            // A close with nothing lingering is a reset.
            stream.set_zero_linger().ok()
        }
        Some(Fault::Drip) => {
            write_head(&mut stream, &status, "", n).await?;
            for byte in body {
                stream.write_all(&[byte]).await.ok()?;
                // The next one follows unless the client has hung up.
                if tokio::time::timeout(DRIP, stream.read_u8()).await.is_ok() {
                    return None;
                }
            }
            Some(())
        }
        Some(Fault::LengthTooLong) => {
            write_head(&mut stream, &status, "", n + 1000).await?;
            stream.write_all(&body).await.ok()
        }
        Some(Fault::LengthTooShort) => {
            write_head(&mut stream, &status, "", n / 2).await?;
            stream.write_all(&body).await.ok()
        }
        Some(Fault::TruncatedGzip) => {
            let packed = gzip(&body);
            say(&mut stream, &status, "Content-Encoding: gzip\r\n", &packed[..packed.len() / 2]).await
        }
        Some(_) => unreachable!("answered above"),
    }
}

async fn ask(upstream: &str, head: &str) -> Option<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let status = String::from_utf8_lossy(&answer[..end]).lines().next()?.split_once(' ')?.1.to_owned();
    Some((status, answer.split_off(end + 4)))
}

async fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> Option<()> {
    write_head(stream, status, headers, body.len()).await?;
    stream.write_all(body).await.ok()?;
    stream.shutdown().await.ok()
}

async fn write_head(stream: &mut TcpStream, status: &str, headers: &str, length: usize) -> Option<()> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.ok()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
