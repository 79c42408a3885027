//! The system's `sendmail` program, which queues by itself. Its exit codes are those of sysexits.h.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{DeliveryError, Envelope};

const PROGRAM: &str = "/usr/sbin/sendmail";
/// EX_NOUSER, EX_NOHOST, EX_DATAERR: about this mail, and final.
const FINAL_CODES: [i32; 3] = [65, 67, 68];

/// Why the program cannot do its work here, where that is known. Postfix's and Exim's hand mail over to a program with more
/// rights than ours, which a sandbox with NoNewPrivileges takes from it (proc(5), NoNewPrivs).
pub(super) fn check_sandbox() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_walled_in = status.lines().any(|line| line.split_whitespace().eq(["NoNewPrivs:", "1"]));
    // Elsewhere a sendmail without such rights may do (msmtp's); systemd sets this for its services (systemd.exec(5)).
    if is_walled_in && std::env::var_os("INVOCATION_ID").is_some() {
        return Err("sendmail does not work inside this sandbox, where no program can have more rights than its caller \
                    (NoNewPrivileges): use \"smtp\" with a relay, localhost for one, or run `edgar-watch once` from cron"
            .to_owned());
    }
    Ok(())
}

/// Whether the program is there.
pub(super) async fn look() -> Result<(), DeliveryError> {
    tokio::fs::metadata(PROGRAM)
        .await
        .map(drop)
        .map_err(|error| DeliveryError::Unreachable(format!("{PROGRAM}: {error}")))
}

pub(super) async fn send(envelope: Envelope<'_>, bytes: &[u8]) -> Result<String, DeliveryError> {
    let unreachable = |error: std::io::Error| DeliveryError::Unreachable(format!("{PROGRAM}: {error}"));
    envelope.hand_over.begin();
    let mut child = Command::new(PROGRAM)
        .args(["-i", "-f", envelope.from, "--", envelope.to])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(unreachable)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early closes its input; its exit code says why.
        let _ = stdin.write_all(bytes).await;
    }
    let output = child.wait_with_output().await.map_err(unreachable)?;
    let words = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect::<String>();
    match output.status.code() {
        Some(0) => Ok("taken by sendmail".to_owned()),
        Some(code) if FINAL_CODES.contains(&code) => {
            Err(DeliveryError::Permanent(format!("sendmail exited with {code}: {words}")))
        }
        code => Err(DeliveryError::Transient(match code {
            Some(code) => format!("sendmail exited with {code}: {words}"),
            None => "sendmail was killed".to_owned(),
        })),
    }
}
