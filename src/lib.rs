//! edgar-watch
pub mod calendar;
pub mod clock;
pub mod edgar;
pub mod suggest;
pub mod tls;
