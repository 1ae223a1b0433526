//! Arguments that several commands share.

use std::fmt::Write as _;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::{Value, json};
use shorepass_core::{RegistryName, Timestamp};

use super::DEFAULT_REGISTRY;

/// What names an object of the server, and becomes one segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Percent-encoded (RFC 3986, section 3.3).
    pub fn segment(&self) -> String {
        segment(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    /// What the server takes as a name is the server's affair; here only what would change the path is refused.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || matches!(text, "." | "..") || text.chars().any(char::is_control) {
            return Err(format!("`{}` is no name", text.escape_debug()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A text as one segment of a path. Not for `.` and `..`, which stay what they are however they are written.
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The registry that something is in, as `az` has it.
#[derive(Debug, Args)]
pub struct RegistryOption {
    /// Registry
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_REGISTRY)]
    pub registry: RegistryName,
}

impl RegistryOption {
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/registries/{}/{rest}", self.registry)
    }
}

/// The tenant whose directory is meant.
#[derive(Debug, Args)]
pub struct TenantOption {
    /// Tenant, by name or id (default: your own)
    #[arg(long, value_name = "TENANT", default_value = "current", hide_default_value = true)]
    pub tenant: Name,
}

impl TenantOption {
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}/{rest}", self.tenant.segment())
    }
}

/// An object, given either as the first argument or, as `az` has it, by an option.
#[derive(Debug, Args)]
pub struct NameArgument {
    /// Name or id
    #[arg(value_name = "NAME", id = "positional_name", required_unless_present = "name")]
    positional: Option<Name>,
    /// The same, as an option
    #[arg(
        short = 'n',
        long = "name",
        visible_alias = "id",
        value_name = "NAME",
        id = "name",
        conflicts_with = "positional_name"
    )]
    option: Option<Name>,
}

impl NameArgument {
    pub fn as_str(&self) -> &str {
        self.positional.as_ref().or(self.option.as_ref()).map_or("", Name::as_str)
    }

    pub fn segment(&self) -> String {
        segment(self.as_str())
    }
}

/// Somebody whom an outside provider knows.
#[derive(Debug, Args)]
pub struct ExternalOption {
    /// Outside provider that knows them, by its name here
    #[arg(long, value_name = "NAME", requires = "subject")]
    issuer: Option<String>,
    /// What the provider calls them: the `sub` claim, or of a group its value in the groups claim
    #[arg(long, value_name = "TEXT", requires = "issuer")]
    subject: Option<String>,
}

impl ExternalOption {
    pub fn body(&self) -> Option<Value> {
        let (issuer, subject) = (self.issuer.as_ref()?, self.subject.as_ref()?);
        Some(json!({ "issuer": issuer, "subject": subject }))
    }
}

/// A time such as `2026-11-22T10:00:00Z`, or a day, of which midnight UTC is meant.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let refused = |_| {
        format!("`{}` is neither a day such as 2026-11-22 nor a time such as 2026-11-22T10:00:00Z", text.escape_debug())
    };
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(refused)
}

/// For what is not easily made again.
#[derive(Debug, Args)]
pub struct Yes {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// A repository, or all below it, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub repository: String,
    pub actions: Vec<String>,
}

impl Grant {
    /// As scope maps keep them: `repositories/team/app/content/read`.
    pub fn stored(&self) -> impl Iterator<Item = String> {
        self.actions.iter().map(|action| format!("repositories/{}/{action}", self.repository))
    }

    pub fn body(&self) -> Value {
        json!({ "name": self.repository, "actions": self.actions })
    }
}

/// What can be done to a repository (what-the-documents-say.md 2c). Their case does not count.
const ACTIONS: [&str; 5] = ["content/read", "content/write", "content/delete", "metadata/read", "metadata/write"];

/// An option that takes a repository and its actions, and can be given several times.
pub trait GrantOption {
    const NAME: &'static str;
    const HELP: &'static str;
    const REQUIRED: bool;
}

/// `--repository REPO ACTION...`, as often as one likes. By hand, since clap's derive does not keep occurrences apart.
#[derive(Debug, Clone)]
pub struct Grants<O> {
    pub all: Vec<Grant>,
    option: PhantomData<O>,
}

impl<O: GrantOption> Grants<O> {
    fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.get_occurrences::<String>(O::NAME).into_iter().flatten();
        let all = given.map(|values| grant(O::NAME, values.map(String::as_str))).collect::<Result<_, _>>()?;
        Ok(Self { all, option: PhantomData })
    }
}

fn grant<'a>(option: &str, mut values: impl Iterator<Item = &'a str>) -> Result<Grant, clap::Error> {
    let repository = values.next().unwrap_or_default().to_owned();
    let actions: Vec<String> = values.map(str::to_ascii_lowercase).collect();
    if let Some(unknown) = actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
        let text = format!(
            "`{}` is no action: `--{option}` takes a repository and then any of {}\n",
            unknown.escape_debug(),
            ACTIONS.join(", ")
        );
        return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text));
    }
    Ok(Grant { repository, actions })
}

impl<O: GrantOption> FromArgMatches for Grants<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::read(matches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::read(matches)?;
        Ok(())
    }
}

impl<O: GrantOption> Args for Grants<O> {
    fn augment_args(command: Command) -> Command {
        let argument = Arg::new(O::NAME)
            .long(O::NAME)
            .help(O::HELP)
            .value_names(["REPO", "ACTION"])
            .num_args(2..)
            .required(O::REQUIRED)
            .action(ArgAction::Append);
        command.arg(argument)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repository;
    impl GrantOption for Repository {
        const NAME: &'static str = "repository";
        const HELP: &'static str = "";
        const REQUIRED: bool = true;
    }

    fn grants(arguments: &[&str]) -> Result<Vec<Grant>, clap::Error> {
        let command = Grants::<Repository>::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from([&["test"], arguments].concat())?;
        Grants::<Repository>::from_arg_matches(&matches).map(|grants| grants.all)
    }

    #[test]
    fn every_occurrence_is_a_repository_of_its_own() {
        let given =
            ["--repository", "a", "Content/Read", "--repository", "content/read", "metadata/read", "content/write"];
        let read = grants(&given).unwrap();
        assert_eq!(read[0], Grant { repository: "a".into(), actions: vec!["content/read".into()] });
        let second =
            Grant { repository: "content/read".into(), actions: vec!["metadata/read".into(), "content/write".into()] };
        assert_eq!(read[1], second);
        assert_eq!(
            second.stored().collect::<Vec<_>>(),
            ["repositories/content/read/metadata/read", "repositories/content/read/content/write"]
        );
    }

    #[test]
    fn a_repository_needs_actions_that_there_are() {
        assert!(grants(&[]).is_err());
        assert!(grants(&["--repository", "a"]).is_err());
        let error = grants(&["--repository", "a", "content/reed"]).unwrap_err().to_string();
        assert!(error.contains("`content/reed`") && error.contains("metadata/write"), "{error}");
    }

    #[test]
    fn a_name_stays_one_segment() {
        let name: Name = "team a/b?c#d%2e".parse().unwrap();
        assert_eq!(name.segment(), "team%20a%2Fb%3Fc%23d%252e");
        assert_eq!("alice@example.com".parse::<Name>().unwrap().segment(), "alice@example.com");
        for bad in ["", ".", "..", "a\nb"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
