//! The frame of every page, and the pages that only say something.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::Site;

/// A page within the frame that all share.
pub(super) fn page(site: &Site, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - EDGAR Watch" }
                link rel="stylesheet" href=(site.path("/style.css"));
                @if site.is_public() {
                    link rel="alternate" type="application/atom+xml" title="Listing notices" href=(site.path("/feed.atom"));
                }
            }
            body {
                header {
                    p.brand { a href=(site.path("/")) { "EDGAR Watch" } }
                    nav aria-label="Pages" {
                        @if site.is_public() { a href=(site.path("/")) { "Notices" } }
                        a href=(site.path("/subscribe")) { "Subscribe" }
                        a href=(site.path("/preferences")) { "Your subscriptions" }
                    }
                }
                main { (content) }
                footer {
                    p { "Read from SEC EDGAR by a program. Open the filing before you act on it." }
                }
            }
        }
    }
}

/// A page that says one thing.
pub(super) fn message_page(site: &Site, status: StatusCode, title: &str, words: &str) -> Response {
    let content = html! { h1 { (title) } p { (words) } };
    (status, page(site, title, content)).into_response()
}

/// A page that says why something was not done.
pub(super) fn trouble_page(site: &Site, status: StatusCode, words: &str) -> Response {
    message_page(site, status, status.canonical_reason().unwrap_or("Not done"), words)
}

/// What to do about a link that is not taken.
pub(super) fn bad_link_page(site: &Site, error: crate::tokens::TokenError) -> Response {
    let words = match error {
        crate::tokens::TokenError::Forged => "This link is not valid. Was it copied whole?",
        crate::tokens::TokenError::Expired => "This link has expired. Ask for a new one under \"Your subscriptions\".",
    };
    trouble_page(site, StatusCode::FORBIDDEN, words)
}

/// When the store fails.
pub(super) fn failure_page(site: &Site, error: &anyhow::Error) -> Response {
    tracing::error!("a page could not be served: {error:#}");
    trouble_page(
        site,
        StatusCode::SERVICE_UNAVAILABLE,
        "Something here does not work right now. Try again in a minute.",
    )
}
