//! How many bytes 100,000 filings take that are recorded and not read: `cargo bench --bench store_size`.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;

const N_FILINGS: u64 = 100_000;

/// The store's size with so many filings.
async fn size(n_filings: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    desk::fill_store(folder.path(), 0..n_filings).await;
    std::fs::metadata(folder.path().join("state.db")).expect("the store").len()
}

#[tokio::main]
async fn main() {
    let bytes = size(N_FILINGS).await - size(0).await;
    println!("{N_FILINGS} filings: {bytes} bytes, {} each", bytes / N_FILINGS);
}
