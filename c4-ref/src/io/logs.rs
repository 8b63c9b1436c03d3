//! Logs to stderr: text, or JSON with `C4_LOG_FORMAT=json`; what is logged by `C4_LOG` (default `info`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts the logs of the program. Addresses of peers appear at `debug` and below only.
pub fn init() {
    let filter = EnvFilter::try_from_env("C4_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Files and journals get no colours.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // Fails only when logs were started before.
    let _ = match std::env::var("C4_LOG_FORMAT").as_deref() {
        Ok("json") => builder.json().try_init(),
        _ => builder.try_init(),
    };
}
