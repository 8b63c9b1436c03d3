//! The command line that every binary shares.

use std::path::PathBuf;

use clap::{Args as _, FromArgMatches as _};

use super::load::Override;

/// `[-c FILE] [-s KEY=VALUE | KEY+=VALUE]... [--check] [--print-config]`
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Configuration file (TOML)
    #[arg(short = 'c', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Change one setting: KEY=VALUE, or KEY+=VALUE to add to a list (the first replaces a default list)
    #[arg(short = 's', value_name = "KEY=VALUE")]
    pub overrides: Vec<Override>,
    /// Check the configuration and exit
    #[arg(long)]
    pub check: bool,
    /// Print the whole configuration with its defaults and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub enum Cli {
    /// Go on with these.
    Run(Args),
    /// Print this text and exit with success (`--help`, `--version`).
    Print(String),
}

/// Reads the command line of the binary `name`.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(
    name: &'static str,
    about: &'static str,
    line: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Cli, String> {
    let command = clap::Command::new(name).about(about).version(env!("CARGO_PKG_VERSION"));
    match Args::augment_args(command).try_get_matches_from(line).and_then(|m| Args::from_arg_matches(&m)) {
        Ok(args) => Ok(Cli::Run(args)),
        Err(error) if !error.use_stderr() => Ok(Cli::Print(error.to_string())),
        Err(error) => Err(one_line(&error)),
    }
}

/// The first line of a command line error.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("{} (see --help)", first.strip_prefix("error: ").unwrap_or(first))
}
