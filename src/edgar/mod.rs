//! All that knows EDGAR. Only [`client`] does I/O; the rest takes bytes and values and returns values.

pub mod client;
pub mod daily_index;
pub mod eastern;
pub mod feed;
pub mod filing;
pub mod forms;
pub mod ids;
pub mod index_page;
pub mod items;
pub mod pace;
pub mod refusal;
pub mod retry;
pub mod submissions;
pub mod tickers;
