//! An invented archive behind a loopback EDGAR: what `demo` runs on. The program on top of it is the real one.

mod archive;
pub mod edgar;

pub use archive::{file_determination, invented_archive, invented_tickers};
