//! The server's configuration: one TOML file, then the environment, then flags; the last one wins.

mod build;
mod finding;
mod layers;
mod schema;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use shorepass_server::settings::Settings;

pub use finding::{Complaint, Finding, Origin};
pub use layers::flags;
use layers::{Layer, Raw, from_environment, from_file, from_flags, misspelt_variables};
pub use values::duration;

/// The environment, as a parameter.
pub type Environment = BTreeMap<String, String>;

/// The environment this process was started with. A variable that is not UTF-8 can name no setting of ours.
pub fn environment() -> Environment {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// How the server writes its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives as `tracing_subscriber::EnvFilter` takes them.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A setting as it is in effect, fit to be shown.
#[derive(Debug)]
pub struct Effective {
    pub key: &'static str,
    /// Without secrets; empty when it is not set.
    pub value: String,
    pub origin: Origin,
}

/// A configuration in which nothing is wrong.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub log: LogSettings,
    pub effective: Vec<Effective>,
    /// What works, but is hardly meant.
    pub warnings: Vec<Finding>,
}

/// The three places, and what the global flags say.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The file of `--config`; without it the usual places are tried.
    pub config: Option<&'a Path>,
    /// `--data`.
    pub data: Option<&'a Path>,
    pub environment: &'a Environment,
    /// The flags of `serve`.
    pub flags: Option<&'a ArgMatches>,
}

impl Sources<'_> {
    /// The file to read: that of the flag, of `SHOREPASS_CONFIG`, or the first of the usual ones there is.
    pub fn file(&self) -> Option<PathBuf> {
        if let Some(path) = self.config {
            return Some(path.to_owned());
        }
        if let Some(path) = self.environment.get("SHOREPASS_CONFIG").filter(|path| !path.is_empty()) {
            return Some(PathBuf::from(path));
        }
        let user = base_directory(self.environment, "XDG_CONFIG_HOME", ".config")
            .map(|base| base.join("shorepass/config.toml"));
        let system = PathBuf::from("/etc/shorepass/config.toml");
        user.into_iter().chain([system]).find(|path| path.is_file())
    }

    /// Reads everything. Answers the configuration, or everything that is wrong with it.
    pub fn load(&self) -> Result<Loaded, Vec<Finding>> {
        let (merged, mut findings) = self.merged();
        let warnings = misspelt_variables(self.environment);
        build::build(&merged, warnings, &mut findings).ok_or_else(|| {
            findings.sort_by_key(|finding| match &finding.origin {
                Origin::File { line, column, .. } => (0, *line, *column),
                Origin::Environment(_) => (1, 0, 0),
                Origin::Flag(_) => (2, 0, 0),
                Origin::Default => (3, 0, 0),
            });
            findings
        })
    }

    /// The data directory, for the commands that talk to a running server: other settings may be wrong.
    pub fn data(&self) -> PathBuf {
        let (merged, _) = self.merged();
        let first = merged.get("data").and_then(|raw| raw.values.first());
        first.map(PathBuf::from).unwrap_or_else(|| default_data(self.environment))
    }

    fn merged(&self) -> (Layer, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut merged = defaults(self.environment);
        if let Some(path) = self.file() {
            match std::fs::read_to_string(&path) {
                Ok(text) => merged.extend(from_file(&path, &text, &mut findings)),
                Err(error) => findings.push(unreadable(path, &error)),
            }
        }
        merged.extend(from_environment(self.environment, &mut findings));
        if let Some(flags) = self.flags {
            merged.extend(from_flags(flags, &mut findings));
        }
        if let Some(data) = self.data {
            let values = vec![data.to_string_lossy().into_owned()];
            merged.insert("data", Raw { values, in_file: false, origin: Origin::Flag("--data".to_owned()) });
        }
        (merged, findings)
    }
}

fn unreadable(path: PathBuf, error: &std::io::Error) -> Finding {
    Finding {
        complaint: Complaint::new(format!("the file cannot be read: {error}"), "check the path and its permissions"),
        origin: Origin::File { path, line: 1, column: 1 },
    }
}

fn defaults(environment: &Environment) -> Layer {
    let mut layer: Layer =
        schema::SETTINGS.iter().filter_map(|setting| Some((setting.key, raw_default(setting.default?)))).collect();
    layer.insert("data", raw_default(&default_data(environment).to_string_lossy()));
    layer
}

fn raw_default(value: &str) -> Raw {
    Raw { values: vec![value.to_owned()], in_file: false, origin: Origin::Default }
}

/// `$XDG_DATA_HOME/shorepass`, `~/.local/share/shorepass`, or for services without a home `/var/lib/shorepass`.
fn default_data(environment: &Environment) -> PathBuf {
    let under_home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    let base = base_directory(environment, "XDG_DATA_HOME", under_home);
    base.unwrap_or_else(|| PathBuf::from("/var/lib")).join("shorepass")
}

/// A base directory of the XDG specification, in which relative paths are to be ignored.
fn base_directory(environment: &Environment, variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(under_home)))
}

#[cfg(test)]
mod tests;
