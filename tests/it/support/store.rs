//! Where tests keep their stores: each in a file of its own or, with `EDGAR_WATCH_TEST_STORE=postgres://...`, in a schema of its
//! own on that server.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use edgar_watch::config;
use edgar_watch::store::StorePlace;
use sqlx::Connection;

/// The server that stores are on, if they are on one.
pub fn server() -> Option<String> {
    std::env::var("EDGAR_WATCH_TEST_STORE").ok().filter(|url| url.starts_with("postgres"))
}

/// Whether stores are files. Says plainly when a test that is about files has nothing to test.
pub fn is_file() -> bool {
    let is_file = server().is_none();
    if !is_file {
        eprintln!("skipped: it is about files, and stores are on a server");
    }
    is_file
}

/// The server, for a test that is about servers. Says plainly when there is none.
pub fn needs_server() -> Option<String> {
    let server = server();
    if server.is_none() {
        eprintln!("skipped: EDGAR_WATCH_TEST_STORE names no PostgreSQL server");
    }
    server
}

/// The table `[store]` of a configuration, for a store that is new.
pub fn section() -> String {
    match server() {
        None => "[store]\nurl = \"sqlite://state.db\"\n".to_owned(),
        Some(server) => format!("[store]\nurl = \"{}\"\nkeys_file = \"state.db.keys\"\n", new_schema(&server)),
    }
}

/// The store that a configuration in a folder names.
pub fn place_in(folder: &Path, name: &str) -> StorePlace {
    config::load(&folder.join(name)).unwrap_or_else(|error| panic!("{error}")).store
}

/// A store on a server, its keys in a folder.
pub fn server_place(url: &str, folder: &Path) -> StorePlace {
    StorePlace::server(url.parse().expect("a URL"), None, 8, folder.join("state.db.keys"))
}

/// The URL of a new schema on a server.
pub fn new_schema(server: &str) -> String {
    static N_SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), N_SCHEMAS.fetch_add(1, Ordering::Relaxed));
    ask(server, &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"));
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}options=-csearch_path%3D{name}")
}

/// Runs statements on a server, on a thread of its own: who calls may be within a runtime.
pub fn ask(url: &str, statements: &str) {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = sqlx::PgConnection::connect(&url).await.expect("the server");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut connection).await.expect("statements");
            connection.close().await.expect("closed");
        });
    });
    asked.join().expect("the server answers");
}
