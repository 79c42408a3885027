//! A relay on loopback that takes every mail and keeps nothing but when it came to DATA, and for whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// When mails for each recipient came to DATA.
pub type Taken = Arc<Mutex<HashMap<String, Vec<Instant>>>>;

/// Starts a relay on a thread of its own, as a relay has a machine of its own. Returns its port.
pub async fn start(taken: Taken) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = listener.into_std().expect("a listener");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, taken.clone()));
            }
        });
    });
    port
}

async fn serve(stream: TcpStream, taken: Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut recipient = String::new();
    let mut answers = b"220 sink\r\n".to_vec();
    loop {
        // What was asked in one piece is answered in one.
        if stream.buffer().is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            "RCPT" => {
                line.trim_end().clone_into(&mut recipient);
                b"250 ok\r\n"
            }
            "DATA" => {
                let began = Instant::now();
                answers.extend_from_slice(b"354 go\r\n");
                stream.write_all(&answers).await?;
                answers.clear();
                let mut body = Vec::new();
                loop {
                    let start = body.len();
                    if stream.read_until(b'\n', &mut body).await? == 0 {
                        return Ok(());
                    }
                    if &body[start..] == b".\r\n" {
                        break;
                    }
                }
                taken.lock().expect("nobody panics with it").entry(recipient.clone()).or_default().push(began);
                b"250 taken\r\n"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => b"250 ok\r\n",
        };
        answers.extend_from_slice(answer);
    }
}
