//! The pages: consent from the form to the last click, what they refuse, and what they show to everybody.

use std::collections::BTreeSet;

use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::store::{SubscriptionState, Which};
use mail_parser::Message;
use reqwest::{Method, StatusCode};

use crate::support::browser::{Browser, HTTP, PUBLIC_URL};
use crate::support::filings::TestFiling;
use crate::support::{Desk, DeskPlan};

const NOON: &str = "2026-03-19T16:00:00Z";

async fn open(subscriptions: &'static str) -> (Desk, Browser) {
    let desk = DeskPlan { subscriptions, ..DeskPlan::default() }.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    let browser = Browser::open(&desk).await;
    (desk, browser)
}

async fn take_letter(desk: &Desk, number: u32, accepted_at: &str) {
    desk.clock.set(accepted_at);
    desk.edgar.change(|archive| TestFiling::determination(number, accepted_at).publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    desk.watcher.deliver(None).await.expect("a delivery");
}

/// The next mail that something on a page leads to.
async fn next_mail(desk: &Desk, browser: &Browser) {
    browser.mail_waits.notified().await;
    desk.watcher.deliver(None).await.expect("a delivery");
}

fn mail_with<'a>(mails: &'a [Message<'static>], subject: &str) -> &'a Message<'static> {
    let found = mails.iter().find(|mail| mail.subject().unwrap_or_default().contains(subject));
    found.unwrap_or_else(|| panic!("no mail with {subject} in its subject"))
}

/// Every link in a mail that leads to our pages.
fn own_links(mail: &Message<'_>) -> BTreeSet<String> {
    let text = mail.body_text(0).unwrap_or_default().into_owned();
    let html = mail.body_html(0).unwrap_or_default().into_owned();
    let header = mail.header_raw("List-Unsubscribe").unwrap_or_default();
    let all = format!("{text} {html} {header}");
    let words = all.split(|c: char| c.is_whitespace() || "<>\"".contains(c));
    words.filter(|word| word.starts_with(PUBLIC_URL)).map(str::to_owned).collect()
}

fn link(mail: &Message<'_>, part: &str) -> String {
    own_links(mail).into_iter().find(|link| link.contains(part)).unwrap_or_else(|| panic!("no link with {part}"))
}

async fn states(desk: &Desk) -> Vec<(String, SubscriptionState, bool)> {
    let rows = desk.watcher.store.subscriptions(Which::All).await.expect("subscriptions");
    rows.into_iter().map(|row| (row.address, row.state, row.silenced.is_some())).collect()
}

const READER: &str = "reader@example.net";

#[tokio::test]
async fn from_the_form_to_the_last_click() {
    let (desk, mut browser) = open(HTTP).await;
    let sent = browser.subscribe(READER, &[("kinds", "default"), ("delivery", "immediate")]).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    next_mail(&desk, &browser).await;
    assert_eq!(states(&desk).await, [(READER.to_owned(), SubscriptionState::Pending, false)]);
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    assert_eq!(desk.mails().len(), 1, "nothing but the question before it is answered");

    let confirm = browser.local(&link(mail_with(&desk.mails(), "Confirm"), "/confirm/"));
    let page = browser.get(&confirm).await;
    assert!(page.body.contains(READER) && page.body.contains("<button"), "{}", page.body);
    let page = browser.post(&confirm, &[]).await;
    assert!(page.body.contains("You are subscribed"), "{}", page.body);
    take_letter(&desk, 2, "2026-03-19T16:15:00Z").await;

    let mails = desk.mails();
    let notice = mail_with(&mails, "staff determination");
    let preferences = browser.local(&link(notice, "/preferences/"));
    let page = browser.get(&preferences).await;
    let (form, id) = (page.field("form"), page.field("id"));
    let fields = [("form", form.as_str()), ("id", id.as_str()), ("do", "pause"), ("until", "2026-03-20")];
    assert_eq!(browser.post(&preferences, &fields).await.status, StatusCode::SEE_OTHER);
    take_letter(&desk, 3, "2026-03-19T17:05:00Z").await;
    assert_eq!(desk.mails().len(), 2, "paused");
    let fields = [("form", form.as_str()), ("id", id.as_str()), ("do", "resume")];
    assert_eq!(browser.post(&preferences, &fields).await.status, StatusCode::SEE_OTHER);

    // One click in a mail program: no cookie, no form.
    let unsubscribe = link(notice, "/unsubscribe/");
    assert_eq!(notice.header_raw("List-Unsubscribe-Post").map(str::trim), Some("List-Unsubscribe=One-Click"));
    let mut program = Browser::open(&desk).await;
    let done = program.post(&program.local(&unsubscribe), &[("List-Unsubscribe", "One-Click")]).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(states(&desk).await, [(READER.to_owned(), SubscriptionState::Ended, true)]);
    take_letter(&desk, 4, "2026-03-19T18:05:00Z").await;
    assert_eq!(desk.mails().len(), 2);
    let again = program.post(&program.local(&unsubscribe), &[("List-Unsubscribe", "One-Click")]).await;
    assert_eq!(again.status, StatusCode::OK, "twice is as good as once");

    // A fresh yes counts.
    browser.subscribe(READER, &[]).await;
    next_mail(&desk, &browser).await;
    let mails = desk.mails();
    let asked: Vec<String> = mails
        .iter()
        .filter(|mail| mail.subject().unwrap_or_default().contains("Confirm"))
        .map(|mail| link(mail, "/confirm/"))
        .collect();
    for question in asked {
        browser.post(&browser.local(&question), &[]).await;
    }
    take_letter(&desk, 5, "2026-03-19T19:05:00Z").await;
    assert_eq!(desk.mails().len(), mails.len() + 1);
}

#[tokio::test]
async fn following_every_link_changes_nothing() {
    let (desk, mut browser) = open(HTTP).await;
    browser.subscribe(READER, &[]).await;
    next_mail(&desk, &browser).await;
    let confirm = browser.local(&link(mail_with(&desk.mails(), "Confirm"), "/confirm/"));
    let n_changes = desk.watcher.store.subscription_changes().await.expect("a count");
    for _ in 0..2 {
        assert_eq!(browser.get(&confirm).await.status, StatusCode::OK);
    }
    assert_eq!(desk.watcher.store.subscription_changes().await.expect("a count"), n_changes);
    browser.post(&confirm, &[]).await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    let before = (states(&desk).await, desk.watcher.store.subscription_changes().await.expect("a count"));
    for mail in desk.mails() {
        let links = own_links(&mail);
        assert!(!links.is_empty());
        for link in links {
            let page = browser.get(&browser.local(&link)).await;
            assert_eq!(page.status, StatusCode::OK, "{link}");
            let head = browser.send(browser.request(Method::HEAD, &browser.local(&link))).await;
            assert_eq!(head.status, StatusCode::OK);
        }
    }
    assert_eq!((states(&desk).await, desk.watcher.store.subscription_changes().await.expect("a count")), before);
}

#[tokio::test]
async fn forged_and_expired_links_are_refused() {
    let (desk, mut browser) = open(HTTP).await;
    browser.subscribe(READER, &[]).await;
    next_mail(&desk, &browser).await;
    let confirm = browser.local(&link(mail_with(&desk.mails(), "Confirm"), "/confirm/"));
    let (path, token) = confirm.rsplit_once('/').expect("a token");
    for forged in [token.replacen('c', "u", 1), format!("{token}0"), "c1.0.k1.aaaa".to_owned(), "%00".to_owned()] {
        for path in [path, "/edgar/preferences", "/edgar/unsubscribe"] {
            let page = browser.post(&format!("{path}/{forged}"), &[]).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}/{forged}");
        }
    }
    // Taken for something else.
    assert_eq!(browser.get(&format!("/edgar/preferences/{token}")).await.status, StatusCode::FORBIDDEN);
    desk.clock.jump(3 * 86_400);
    assert_eq!(browser.post(&confirm, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(states(&desk).await, [(READER.to_owned(), SubscriptionState::Pending, false)]);
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let (desk, mut browser) = open(HTTP).await;
    let form = browser.get("/edgar/subscribe").await.field("form");
    let fields = [("form", form.as_str()), ("email", READER), ("scope", "all")];
    let without = browser.post("/edgar/subscribe", &fields[1..]).await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "without its field");
    let mut other = Browser::open(&desk).await;
    assert_eq!(other.post("/edgar/subscribe", &fields).await.status, StatusCode::FORBIDDEN, "without its cookie");
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = browser.form("/edgar/subscribe", &fields).header(header, value);
        assert_eq!(browser.send(request).await.status, StatusCode::FORBIDDEN, "{header}");
    }
    let request = browser.form("/edgar/subscribe", &fields);
    let request = request.header("sec-fetch-site", "same-origin").header("origin", "https://alerts.example.com");
    assert_eq!(browser.send(request).await.status, StatusCode::OK);
    desk.clock.jump(86_400);
    assert_eq!(browser.post("/edgar/subscribe", &fields).await.status, StatusCode::FORBIDDEN, "too old");
}

#[tokio::test]
async fn an_answer_tells_nothing_of_who_subscribes() {
    let (desk, mut browser) =
        open("[[subscription]]\nemail = \"known@example.com\"\n[http]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://alerts.example.com/edgar\"\n").await;
    desk.watcher.deliver(None).await.expect("a pass takes the configuration");
    let form = browser.get("/edgar/preferences").await.field("form");
    let mut pages = Vec::new();
    for email in ["known@example.com", "nobody@example.com"] {
        let page = browser.post("/edgar/preferences", &[("form", &form), ("email", email)]).await;
        pages.push((page.status, page.body, page.headers.get("set-cookie").is_some()));
    }
    assert_eq!(pages[0], pages[1]);
    next_mail(&desk, &browser).await;
    let to: Vec<String> =
        desk.mails().iter().filter_map(|mail| Some(mail.to()?.first()?.address()?.to_owned())).collect();
    assert_eq!(to, ["known@example.com"]);
}

#[tokio::test]
async fn a_flood_of_confirmations_is_cut_short() {
    let (desk, mut browser) = open(HTTP).await;
    let form = browser.get("/edgar/subscribe").await.field("form");
    let mut taken = 0;
    // One network behind the proxy, many addresses.
    for n in 0..300 {
        let email = format!("victim{n}@example.net");
        let fields = [("form", form.as_str()), ("email", email.as_str()), ("scope", "all")];
        let from = format!("198.51.100.{}", n % 250);
        let request = browser.form("/edgar/subscribe", &fields).header("x-forwarded-for", from);
        let status = browser.send(request).await.status;
        assert!(matches!(status, StatusCode::OK | StatusCode::TOO_MANY_REQUESTS), "{status}");
        taken += usize::from(status == StatusCode::OK);
    }
    assert_eq!(taken, 10);
    // Many networks, one address.
    for n in 0..20 {
        let fields = [("form", form.as_str()), ("email", READER), ("scope", "all")];
        let from = format!("203.0.{n}.1");
        let request = browser.form("/edgar/subscribe", &fields).header("x-forwarded-for", from);
        assert_eq!(browser.send(request).await.status, StatusCode::OK);
    }
    // Wishes are done in order: when the last is, so are those before.
    let fields = [("form", form.as_str()), ("email", "last@example.net"), ("scope", "all")];
    let request = browser.form("/edgar/subscribe", &fields).header("x-forwarded-for", "192.0.2.1");
    browser.send(request).await;
    while !states(&desk).await.iter().any(|(address, _, _)| address == "last@example.net") {
        browser.mail_waits.notified().await;
    }
    let n_asked = states(&desk).await.iter().filter(|(address, _, _)| address == READER).count();
    assert_eq!(n_asked, 3);
}

#[tokio::test]
async fn what_is_no_address_and_what_is_too_large_is_refused() {
    let (desk, mut browser) = open(HTTP).await;
    for email in [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com, b@example.com",
        "\"a b\"@example.com",
        "nobody",
        "a@b",
        "",
    ] {
        let page = browser.subscribe(email, &[]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{email:?}");
    }
    let page = browser.subscribe("a@example.com", &[("kinds", "\r\nBcc: b@example.com")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = browser.subscribe("\"><script>alert(1)</script>", &[]).await;
    assert!(!page.body.contains("<script"), "{}", page.body);
    let giant = "x".repeat(100_000);
    assert_eq!(browser.post("/edgar/subscribe", &[("email", &giant)]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let request = browser.request(Method::GET, "/edgar/").header("x-giant", "x".repeat(20_000));
    assert_eq!(browser.send(request).await.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(states(&desk).await, []);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_from_mischief() {
    let (_desk, mut browser) = open(HTTP).await;
    for (path, status) in [
        ("/edgar/", StatusCode::OK),
        ("/", StatusCode::OK),
        ("/edgar/subscribe", StatusCode::OK),
        ("/edgar/style.css", StatusCode::OK),
        ("/edgar/feed.atom", StatusCode::OK),
        ("/nothing", StatusCode::NOT_FOUND),
        ("/edgar/unsubscribe/x", StatusCode::FORBIDDEN),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}");
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age="),
        ] {
            let found = page.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(found.starts_with(value), "{path}: {name}: {found}");
        }
        assert!(!page.body.contains("<script"), "{path}");
    }
    let request = browser.request(Method::GET, "/edgar/subscribe").header("host", "evil.example");
    let page = browser.send(request).await;
    assert!(!page.body.contains("evil.example"), "links never come from what a request says");
}

#[tokio::test]
async fn a_notice_is_shown_with_its_evidence_and_what_it_says_is_never_markup() {
    let (desk, mut browser) = open(HTTP).await;
    let filing =
        TestFiling { name: "<b>GANTRY</b> \"&\" MICRO", ..TestFiling::determination(1, "2026-03-19T16:05:00Z") };
    desk.clock.set("2026-03-19T16:05:00Z");
    desk.edgar.change(|archive| filing.publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    let list = browser.get("/edgar/").await.body;
    assert!(list.contains("/edgar/notices/0009992000-26-000001") && !list.contains("<b>GANTRY"), "{list}");
    let page = browser.get("/edgar/notices/0009992000-26-000001").await.body;
    assert!(page.contains("<mark>") && !page.contains("<b>GANTRY"), "{page}");
    let json: serde_json::Value =
        serde_json::from_str(&browser.get("/edgar/notices/0009992000-26-000001.json").await.body).expect("JSON");
    assert_eq!((&json["schema"], &json["events"][0]["kind"]), (&1.into(), &"staff_determination".into()));
    let json: serde_json::Value = serde_json::from_str(&browser.get("/edgar/notices.json").await.body).expect("JSON");
    assert_eq!(json["notices"][0]["url"], format!("{PUBLIC_URL}/notices/0009992000-26-000001"));
    let feed = browser.get("/edgar/feed.atom").await.body;
    let mut reader = quick_xml::Reader::from_str(&feed);
    let mut n_entries = 0;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in\n{feed}")) {
            quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "entry" => n_entries += 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(n_entries, 1);
    for (filter, n) in
        [("kind=delisting", 0), ("kind=staff_determination", 1), ("company=gantry", 1), ("basis=fees", 0)]
    {
        let page = browser.get(&format!("/edgar/?{filter}")).await.body;
        assert_eq!(page.matches("/edgar/notices/0009992000").count(), n, "{filter}");
    }
    assert_eq!(browser.get("/edgar/notices/none").await.status, StatusCode::NOT_FOUND);
    assert_eq!(desk.clock.now(), crate::support::instant("2026-03-19T16:05:00Z"));
}

#[tokio::test]
async fn without_the_public_pages_notices_are_nobodys_business() {
    let (_desk, mut browser) =
        open("[http]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://alerts.example.com\"\n").await;
    assert!(browser.get("/").await.body.contains("name=\"email\""), "the form");
    for path in ["/notices.json", "/notices/0009992000-26-000001", "/feed.atom"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
