//! Reading again what can change while the program runs: all of it, or, when anything is wrong, nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cdr::CdrWriter;
use super::program::{self, Failure, Reread};
use super::server::Handle;
use super::sources::Sources;
use super::tls::Tls;
use crate::admin::Answer;
use crate::config::change::{Changes, changes};
use crate::config::cli::Args;
use crate::config::{Config, Role};

/// What is read again, and who hears of it.
pub(super) struct Reload<'a> {
    pub(super) args: &'a Args,
    pub(super) roles: Vec<Role>,
    /// What the program runs with.
    pub(super) running: Config,
    pub(super) tls: &'a Tls,
    pub(super) sources: Vec<(Role, Arc<Sources>)>,
    pub(super) rereads: Vec<(Handle, Reread)>,
    pub(super) records: Vec<CdrWriter>,
}

impl Reload<'_> {
    /// The configuration file and the files it names are read again, record files opened again. The answer and the log
    /// name what changed and what waits for a restart.
    pub(super) fn run(&mut self) -> Answer {
        // A rotated record file does not wait for a good configuration.
        self.records.iter().for_each(CdrWriter::reopen);
        match self.attempt() {
            Ok(Changes { live, restart, .. }) => {
                tracing::info!(changed = live.join(" "), "reloaded");
                if !restart.is_empty() {
                    tracing::warn!(keys = restart.join(" "), "these keep their old values until a restart");
                }
                Ok(json!({ "changed": live, "restart": restart }))
            }
            Err(Failure { why, .. }) => {
                tracing::error!(why, "not reloaded, everything stays as it was");
                Err(why)
            }
        }
    }

    /// The certificate files alone.
    pub(super) fn certificates(&self) -> Answer {
        let result = self.tls.reload(&self.running.tls).map(|()| Value::Bool(true)).map_err(|error| error.to_string());
        match &result {
            Ok(_) => tracing::info!("certificate reloaded"),
            Err(why) => tracing::error!(why, "the certificate was not reloaded, the old one stays"),
        }
        result
    }

    fn attempt(&mut self) -> Result<Changes, Failure> {
        let config = program::read_config(self.args)?;
        let warnings = program::check(self.args, &config, &self.roles)?;
        let changes = changes(&self.running, &config, &self.roles).map_err(Failure::config)?;
        let read = |(server, reread): &(Handle, Reread)| Ok((server.clone(), reread(&changes.config)?));
        let news = self.rereads.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        self.tls.reload(&changes.config.tls).map_err(Failure::config)?;
        // Nothing can fail from here on.
        news.iter().for_each(|(server, news)| server.reload(news));
        self.sources.iter().for_each(|(role, sources)| program::bound_sources(*role, &changes.config, sources));
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.running = changes.config.clone();
        Ok(changes)
    }
}
