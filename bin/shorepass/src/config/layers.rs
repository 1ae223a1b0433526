//! The three places settings come from, each as a layer of raw texts that know their origin.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use clap::ArgMatches;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Complaint, Finding, Origin};
use super::schema::{Kind, SETTINGS, Setting, find};

/// A value as it was written.
#[derive(Debug, Clone)]
pub struct Raw {
    pub values: Vec<String>,
    /// The value is the name of the file that holds the value.
    pub in_file: bool,
    pub origin: Origin,
}

/// By key.
pub type Layer = BTreeMap<&'static str, Raw>;

/// Puts a value into its layer; a secret given both directly and by file is a contradiction.
fn insert(layer: &mut Layer, setting: &'static Setting, raw: Raw, findings: &mut Vec<Finding>) {
    if layer.contains_key(setting.key) {
        let key = setting.key;
        findings.push(Finding {
            origin: raw.origin,
            complaint: Complaint::new(
                format!("`{key}` and `{key}_file` are both set"),
                format!("keep `{key}_file` and remove `{key}`"),
            ),
        });
        return;
    }
    layer.insert(setting.key, raw);
}

/// A key as it may be written, with the `_file` form of secrets: its row, and whether it is that form.
fn resolve(key: &str) -> Option<(&'static Setting, bool)> {
    if let Some(setting) = find(key) {
        return Some((setting, false));
    }
    let setting = find(key.strip_suffix("_file")?)?;
    setting.is_secret().then_some((setting, true))
}

/// Every key as it may be written.
fn all_keys() -> impl Iterator<Item = String> {
    let files = SETTINGS.iter().filter(|s| s.is_secret()).map(|s| format!("{}_file", s.key));
    SETTINGS.iter().map(|s| s.key.to_owned()).chain(files)
}

/// The known name nearest to one that is not known, if any is near.
fn nearest(unknown: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let scored = known.map(|name| (strsim::jaro_winkler(unknown, &name), name));
    let best = scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}

/// The settings a TOML file holds. Goes on after an error, so that all of them are found.
pub fn from_file(path: &Path, text: &str, findings: &mut Vec<Finding>) -> Layer {
    let (table, errors) = DeTable::parse_recoverable(text);
    let place = |span: Range<usize>| position(path, text, span.start);
    for error in errors {
        findings.push(Finding {
            origin: place(error.span().unwrap_or(0..0)),
            complaint: Complaint::new(
                format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                "write `key = \"value\"`, one on a line",
            ),
        });
    }
    let mut layer = Layer::new();
    for (key, value) in table.get_ref() {
        let name: &str = key.get_ref();
        let Some((setting, in_file)) = resolve(name) else {
            findings.push(Finding { origin: place(key.span()), complaint: unknown_key(name) });
            continue;
        };
        match texts(setting, value) {
            Ok(mut values) => {
                if setting.kind == Kind::Path || in_file {
                    values.iter_mut().for_each(|value| *value = beside(path, value));
                }
                let raw = Raw { values, in_file, origin: place(value.span()) };
                insert(&mut layer, setting, raw, findings);
            }
            Err(complaint) => findings.push(Finding { origin: place(value.span()), complaint }),
        }
    }
    layer
}

fn unknown_key(name: &str) -> Complaint {
    let remedy = match nearest(&name.replace('-', "_"), all_keys()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`shorepass serve --help` lists the settings; a key is a flag's name with `_` for `-`".to_owned(),
    };
    Complaint::new(format!("there is no setting `{}`", name.escape_debug()), remedy)
}

/// A value's texts: one, or those of an array where the setting takes several.
fn texts(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Complaint> {
    let key = setting.key;
    if let (Kind::List, DeValue::Array(items)) = (setting.kind, value.get_ref()) {
        return items.iter().map(|item| scalar(key, item.get_ref())).collect();
    }
    Ok(vec![scalar(key, value.get_ref())?])
}

fn scalar(key: &str, value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Table(_) => Err(Complaint::new(
            format!("`{key}` is a setting, not a section"),
            format!("write `{key} = \"value\"`, above every `[section]`"),
        )),
        other => Err(Complaint::new(
            format!("`{key}` takes a text, not a value of type {}", other.type_str()),
            format!("write `{key} = \"value\"`"),
        )),
    }
}

/// A path in a file is taken from the file's directory; `-` is standard output.
fn beside(file: &Path, value: &str) -> String {
    if value == "-" || value.is_empty() {
        return value.to_owned();
    }
    let directory = file.parent().unwrap_or(Path::new(""));
    directory.join(value).to_string_lossy().into_owned()
}

/// Line and column, in characters, of a byte offset.
fn position(path: &Path, text: &str, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Origin::File {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or("").chars().count() + 1,
    }
}

/// The settings the environment holds; an empty variable counts as unset.
pub fn from_environment(variables: &BTreeMap<String, String>, findings: &mut Vec<Finding>) -> Layer {
    let mut layer = Layer::new();
    for setting in SETTINGS {
        let direct = (setting.variable(), false);
        let by_file = setting.is_secret().then(|| (format!("{}_FILE", setting.variable()), true));
        for (variable, in_file) in [Some(direct), by_file].into_iter().flatten() {
            let Some(value) = variables.get(&variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            let values = match setting.kind {
                Kind::List => value.split(',').map(|item| item.trim().to_owned()).collect(),
                _ => vec![value.clone()],
            };
            insert(&mut layer, setting, Raw { values, in_file, origin: Origin::Environment(variable) }, findings);
        }
    }
    layer
}

/// Variables that are no settings of the server.
const OTHER_VARIABLES: [&str; 2] = ["SHOREPASS_CONFIG", "SHOREPASS_SERVER"];

/// A warning for each `SHOREPASS_` variable that is almost, but not quite, a setting. Others are left alone: Kubernetes
/// sets some for every service named `shorepass…`.
pub fn misspelt_variables(variables: &BTreeMap<String, String>) -> Vec<Finding> {
    let known: Vec<String> = all_keys().map(|key| format!("SHOREPASS_{}", key.to_ascii_uppercase())).collect();
    let unknown = variables.keys().filter(|name| {
        name.starts_with("SHOREPASS_") && !known.contains(name) && !OTHER_VARIABLES.contains(&name.as_str())
    });
    let mut warnings = Vec::new();
    for name in unknown {
        let near = known.iter().find(|candidate| strsim::damerau_levenshtein(name, candidate) <= 2);
        if let Some(near) = near {
            warnings.push(Finding {
                origin: Origin::Environment(name.clone()),
                complaint: Complaint::new(format!("`{name}` is not a setting"), format!("did you mean `{near}`?")),
            });
        }
    }
    warnings
}

/// `serve`'s flags, from the schema. `--data` is global to every command and therefore not among them.
pub fn flags() -> Vec<clap::Arg> {
    let mut flags = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| setting.key != "data") {
        let mut help = setting.help.to_owned();
        if let Some(default) = setting.default {
            help.push_str(&format!(" [default: {default}]"));
        }
        if !matches!(setting.kind, Kind::Secret { flag: false, .. }) {
            help.push_str(&format!(" [env: {}]", setting.variable()));
            flags.push(flag(setting, setting.key.to_owned(), setting.placeholder, help));
        }
        if let Kind::Secret { noun, .. } = setting.kind {
            let help = format!("File that holds the {noun} [env: {}_FILE]", setting.variable());
            flags.push(flag(setting, format!("{}_file", setting.key), "FILE", help));
        }
    }
    flags
}

fn flag(setting: &Setting, id: String, placeholder: &'static str, help: String) -> clap::Arg {
    let action = if setting.kind == Kind::List { clap::ArgAction::Append } else { clap::ArgAction::Set };
    let long = id.replace('_', "-");
    clap::Arg::new(id).long(long).value_name(placeholder).action(action).help(help).help_heading(setting.heading)
}

/// The settings given by `serve`'s flags.
pub fn from_flags(matches: &ArgMatches, findings: &mut Vec<Finding>) -> Layer {
    let mut layer = Layer::new();
    for key in all_keys() {
        let Some((setting, in_file)) = resolve(&key) else { continue };
        if let Ok(Some(values)) = matches.try_get_many::<String>(&key) {
            let origin = Origin::Flag(format!("--{}", key.replace('_', "-")));
            insert(&mut layer, setting, Raw { values: values.cloned().collect(), in_file, origin }, findings);
        }
    }
    layer
}
