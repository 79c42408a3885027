//! Trust for outgoing TLS: the system's CA certificates, loaded only when something will use them.

use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::{ClientConfig, RootCertStore};

/// A client configuration that trusts the system's CA certificates, or with `needed` false trusts nobody and
/// touches no file, so that a machine without a CA bundle can do everything that needs none.
///
/// # Errors
/// When certificates are needed and none can be loaded.
pub fn client_config(needed: bool) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if needed {
        let loaded = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(loaded.certs);
        ensure!(
            !roots.is_empty(),
            "no CA certificates found, and a configured URL is https: install the package ca-certificates"
        );
    }
    client_config_with(roots)
}

/// A client configuration that trusts some CA certificates and no others.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client_config_with(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
