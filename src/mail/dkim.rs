//! DKIM signatures (RFC 6376, RFC 8463 for Ed25519), put on the finished bytes of a mail.
//!
//! lettre's own signer takes one key a mail and an RSA crate with an open advisory (RUSTSEC-2023-0071); the others need a
//! second crypto provider. Signing is two canonical forms and one call of ring, which is here for TLS already.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// A key, and where DNS has its other half: `SELECTOR._domainkey.DOMAIN`.
#[derive(Clone)]
pub struct DkimKey {
    /// The signing domain.
    pub domain: String,
    /// The key's name there.
    pub selector: String,
    secret: Arc<Secret>,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DkimKey({}._domainkey.{}, {})", self.selector, self.domain, self.algorithm())
    }
}

/// Headers that are signed where they are there, and signed as absent beyond that: nobody on the way can add another.
/// RFC 6376 5.4.1 names them; RFC 8058 4 wants both List-Unsubscribe headers.
const OVERSIGNED: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
/// Headers that are signed where they are there.
const SIGNED: [&str; 8] = [
    "In-Reply-To",
    "References",
    "List-Id",
    "Auto-Submitted",
    "X-EDGAR-Accession",
    "X-EDGAR-CIK",
    "X-EDGAR-Form",
    "X-EDGAR-Event",
];
/// A line of base64 within the header.
const FOLD_AT: usize = 70;

impl DkimKey {
    /// Takes a private key in PEM: PKCS#8, RSA of 2048 to 4096 bits or Ed25519.
    ///
    /// # Errors
    /// What is wrong with the key, and the command that converts it where one does. `file` stands for it.
    pub fn from_pem(domain: &str, selector: &str, pem: &[u8], file: &Path) -> Result<Self, String> {
        let file = file.display();
        let key = match PrivateKeyDer::from_pem_slice(pem) {
            Ok(PrivateKeyDer::Pkcs8(key)) => key,
            Ok(_) => {
                return Err(format!(
                    "{file} is no PKCS#8 key; convert it: openssl pkcs8 -topk8 -nocrypt -in {file} -out {file}.pkcs8"
                ));
            }
            Err(_) if pem.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY") => {
                return Err(format!(
                    "{file} is encrypted; convert it: openssl pkcs8 -in {file} -out {file}.pkcs8 -topk8 -nocrypt"
                ));
            }
            Err(_) => return Err(format!("{file} holds no private key in PEM (BEGIN PRIVATE KEY)")),
        };
        let secret = read_key(&key).map_err(|reason| format!("{file}: {reason}"))?;
        Ok(Self { domain: domain.to_owned(), selector: selector.to_owned(), secret: Arc::new(secret) })
    }

    /// `ed25519-sha256` or `rsa-sha256`.
    pub fn algorithm(&self) -> &'static str {
        match *self.secret {
            Secret::Ed25519(_) => "ed25519-sha256",
            Secret::Rsa(_) => "rsa-sha256",
        }
    }

    /// The public key as it stands in the `p=` of the DNS record: raw for Ed25519 (RFC 8463 4), SubjectPublicKeyInfo for
    /// RSA (RFC 6376 3.6.1).
    pub fn public_key(&self) -> String {
        use ring::signature::KeyPair;
        match &*self.secret {
            Secret::Ed25519(key) => BASE64.encode(key.public_key().as_ref()),
            Secret::Rsa(key) => BASE64.encode(&rsa_public_key_info(key.public_key().as_ref())),
        }
    }

    /// The TXT record to publish: its name and its value.
    pub fn record(&self) -> (String, String) {
        let kind = match *self.secret {
            Secret::Ed25519(_) => "ed25519",
            Secret::Rsa(_) => "rsa",
        };
        let name = format!("{}._domainkey.{}", self.selector, self.domain);
        (name, format!("v=DKIM1; k={kind}; p={}", self.public_key()))
    }

    /// Signs text.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        match &*self.secret {
            // RFC 8463 3: PureEdDSA over the hash.
            Secret::Ed25519(key) => Ok(key.sign(&Sha256::digest(text)).as_ref().to_vec()),
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

fn read_key(key: &PrivatePkcs8KeyDer<'_>) -> Result<Secret, String> {
    let der = key.secret_pkcs8_der();
    // OpenSSL writes Ed25519 keys without the public half, which ring then works out.
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Ok(Secret::Ed25519(key));
    }
    let refused = |reason| format!("neither an Ed25519 key nor an RSA key of 2048 to 4096 bits ({reason})");
    RsaKeyPair::from_pkcs8(der).map(Secret::Rsa).map_err(refused)
}

/// Wraps ring's RSAPublicKey into the SubjectPublicKeyInfo of RFC 5280 4.1: the algorithm rsaEncryption, and a bit string.
fn rsa_public_key_info(key: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let element = |tag: u8, content: &[u8]| {
        let mut out = vec![tag];
        let length = content.len().to_be_bytes();
        let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        if content.len() < 0x80 {
            out.extend(length);
        } else {
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
            out.extend(length);
        }
        out.extend(content);
        out
    };
    // No unused bits.
    let bits = element(0x03, &[&[0], key].concat());
    element(0x30, &[RSA_ENCRYPTION.as_slice(), &bits].concat())
}

/// Puts a signature of each key on a mail, each over the mail alone.
///
/// # Errors
/// When a key cannot sign.
pub fn sign(mail: &[u8], keys: &[DkimKey], at: DateTime<Utc>) -> anyhow::Result<Vec<u8>> {
    if keys.is_empty() {
        return Ok(mail.to_vec());
    }
    let (headers, body) = split(mail);
    let body_hash = BASE64.encode(&Sha256::digest(relaxed_body(body)));
    let headers = parse_headers(headers);
    let mut signed = Vec::new();
    for key in keys {
        let names = names_to_sign(&headers);
        let unsigned = format!(
            "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={}; s={};\r\n\tt={};\r\n\th={};\r\n\tbh={body_hash};\r\n\tb=",
            key.algorithm(),
            key.domain,
            key.selector,
            at.timestamp(),
            fold(&names.join(":"), ':'),
        );
        let mut text = Vec::new();
        let mut left: Vec<&(&str, &[u8])> = headers.iter().collect();
        for name in &names {
            // The last of a name first (RFC 6376 5.4.2); one that is not there adds nothing.
            if let Some(place) = left.iter().rposition(|(other, _)| other.eq_ignore_ascii_case(name)) {
                let (name, value) = left.remove(place);
                text.extend(relaxed_header(name, value));
                text.extend(b"\r\n");
            }
        }
        let (name, value) = unsigned.split_once(": ").unwrap_or_default();
        text.extend(relaxed_header(name, value.as_bytes()));
        let signature = key.sign(&text).map_err(|_| anyhow::anyhow!("{key:?} cannot sign"))?;
        signed.extend(unsigned.bytes());
        signed.extend(fold_base64(&BASE64.encode(&signature)).bytes());
        signed.extend(b"\r\n");
    }
    signed.extend(mail);
    Ok(signed)
}

/// Headers without the empty line, and the body.
fn split(mail: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memmem::find(mail, b"\r\n\r\n") {
        Some(at) => (&mail[..at + 2], &mail[at + 4..]),
        None => (mail, &[]),
    }
}

/// Name and value of each header, the value with its folds.
fn parse_headers(headers: &[u8]) -> Vec<(&str, &[u8])> {
    let mut found = Vec::new();
    let mut rest = headers;
    while !rest.is_empty() {
        let mut end = 0;
        // A line that begins with a blank goes on with the one before.
        loop {
            end = memchr::memmem::find(&rest[end..], b"\r\n").map_or(rest.len(), |at| end + at + 2);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (header, after) = rest.split_at(end);
        rest = after;
        if let Some(colon) = memchr::memchr(b':', header)
            && let Ok(name) = std::str::from_utf8(&header[..colon])
        {
            found.push((name, &header[colon + 1..]));
        }
    }
    found
}

fn names_to_sign(headers: &[(&str, &[u8])]) -> Vec<&'static str> {
    let n_of = |name: &str| headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
    let oversigned = OVERSIGNED.into_iter().flat_map(|name| std::iter::repeat_n(name, n_of(name) + 1));
    let signed = SIGNED.into_iter().flat_map(|name| std::iter::repeat_n(name, n_of(name)));
    oversigned.chain(signed).collect()
}

/// RFC 6376 3.4.2: the name in lower case, folds undone, runs of blanks made one, none at the ends.
fn relaxed_header(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = name.trim().to_ascii_lowercase().into_bytes();
    out.push(b':');
    let words = value.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend(word);
    }
    out
}

/// RFC 6376 3.4.4: runs of blanks made one, none at the ends of lines, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut n_kept = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut blank = false;
        for byte in line {
            if matches!(byte, b' ' | b'\t') {
                blank = true;
                continue;
            }
            if blank {
                out.push(b' ');
                blank = false;
            }
            out.push(*byte);
            n_kept = out.len() + 2;
        }
        out.extend(b"\r\n");
    }
    out.truncate(n_kept);
    out
}

/// Breaks after a separator, where folding white space may stand.
fn fold(text: &str, separator: char) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_inclusive(separator) {
        if width + word.len() > FOLD_AT {
            out.push_str("\r\n\t ");
            width = 0;
        }
        out.push_str(word);
        width += word.len();
    }
    out
}

fn fold_base64(text: &str) -> String {
    let lines: Vec<&str> =
        (0..text.len()).step_by(FOLD_AT).map(|at| &text[at..(at + FOLD_AT).min(text.len())]).collect();
    lines.join("\r\n\t ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_are_those_of_the_rfc() {
        // RFC 6376 3.4.5.
        let headers = parse_headers(b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
        let canonical: Vec<Vec<u8>> = headers.iter().map(|(name, value)| relaxed_header(name, value)).collect();
        assert_eq!(canonical, [b"a:X".to_vec(), b"b:Y Z".to_vec()]);
        assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
        assert_eq!(relaxed_body(b""), b"");
        assert_eq!(relaxed_body(b"\r\n\r\n"), b"");
        assert_eq!(relaxed_body(b"no line end"), b"no line end\r\n");
    }

    #[test]
    fn each_header_is_signed_once_more_than_it_is_there() {
        let names = names_to_sign(&parse_headers(b"From: a\r\nSubject: b\r\nList-Id: c\r\n"));
        let n_of = |name: &str| names.iter().filter(|other| **other == name).count();
        assert_eq!((n_of("From"), n_of("Subject"), n_of("To"), n_of("List-Id"), n_of("References")), (2, 2, 1, 1, 0));
    }
}
