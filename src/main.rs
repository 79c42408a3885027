//! The `edgar-watch` command: arguments, the command they name, its exit code.

use std::process::ExitCode;

use clap::Parser;
use edgar_watch::cli::{Args, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("edgar-watch: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(args));
    // A blocking thread that hangs must not keep a finished command from ending.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("edgar-watch: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
