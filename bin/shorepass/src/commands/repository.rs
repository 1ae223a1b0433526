//! `shorepass repository`: repositories, tags and manifests, with the flags of `az acr repository`.

use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use shorepass_core::{Digest, RegistryName, RepositoryName, Tag};

use super::{DEFAULT_REGISTRY, all_pages};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct RepositoryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the repositories of a registry
    List(List),
    /// List the tags of a repository
    #[command(alias = "show-tags")]
    Tags(Contents),
    /// List the manifests of a repository
    #[command(alias = "show-manifests")]
    Manifests(Contents),
    /// Show a repository, a tag or a manifest
    Show(Target),
    /// Delete a repository, or a manifest with all its tags
    Delete(Delete),
    /// Remove a tag; the manifest stays
    Untag(Untag),
    /// Lock or unlock a repository, a tag or a manifest
    #[command(alias = "update")]
    Lock(Lock),
}

#[derive(Debug, Args)]
struct Registry {
    /// Registry
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_REGISTRY)]
    name: RegistryName,
}

impl Registry {
    fn path(&self) -> String {
        format!("/api/v1/registries/{}/repositories/", self.name)
    }
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    registry: Registry,
    /// Show no more than this many
    #[arg(long, value_name = "N")]
    top: Option<usize>,
}

#[derive(Debug, Args)]
struct Contents {
    #[command(flatten)]
    registry: Registry,
    /// Repository
    #[arg(long)]
    repository: RepositoryName,
    /// Show no more than this many
    #[arg(long, value_name = "N")]
    top: Option<usize>,
}

#[derive(Debug, Args)]
#[group(skip)]
struct Target {
    #[command(flatten)]
    registry: Registry,
    /// Repository
    #[arg(long, conflicts_with = "image", required_unless_present = "image")]
    repository: Option<RepositoryName>,
    /// Image: `name:tag` or `name@digest`
    #[arg(short = 't', long)]
    image: Option<Image>,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    target: Target,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Untag {
    #[command(flatten)]
    registry: Registry,
    /// Image: `name:tag`
    #[arg(short = 't', long)]
    image: Image,
}

#[derive(Debug, Args)]
struct Lock {
    #[command(flatten)]
    target: Target,
    /// Whether it can be overwritten or pushed to
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    write_enabled: Option<bool>,
    /// Whether it can be deleted
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    delete_enabled: Option<bool>,
    /// Whether it can be pulled
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    read_enabled: Option<bool>,
    /// Whether lists show it
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    list_enabled: Option<bool>,
}

/// What `--image` names. Without a tag, `latest` is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Image {
    Tag(RepositoryName, Tag),
    Manifest(RepositoryName, Digest),
}

impl FromStr for Image {
    type Err = String;
    fn from_str(input: &str) -> Result<Self, String> {
        if let Some((name, digest)) = input.split_once('@') {
            let digest = digest.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self::Manifest(name.parse().map_err(|error| format!("{error}"))?, digest));
        }
        let (name, tag) = input.rsplit_once(':').unwrap_or((input, "latest"));
        let tag = tag.parse().map_err(|error| format!("{error}"))?;
        Ok(Self::Tag(name.parse().map_err(|error| format!("{error}"))?, tag))
    }
}

impl Target {
    fn path(&self) -> String {
        let base = self.registry.path();
        match (&self.image, &self.repository) {
            (Some(Image::Tag(name, tag)), _) => format!("{base}{name}/_tags/{tag}"),
            (Some(Image::Manifest(name, digest)), _) => format!("{base}{name}/_manifests/{digest}"),
            (None, Some(name)) => format!("{base}{name}"),
            // INVARIANT: clap requires one of the two.
            (None, None) => base,
        }
    }

    fn columns(&self) -> &'static [Column] {
        match self.image {
            Some(Image::Tag(..)) => TAG,
            Some(Image::Manifest(..)) => MANIFEST,
            None => REPOSITORY,
        }
    }
}

const NAMES: &[Column] = &[Column::new("NAME", "")];
const WRITE: Column = Column::new("WRITE", "/changeableAttributes/writeEnabled");
const DELETE: Column = Column::new("DELETE", "/changeableAttributes/deleteEnabled");
const READ: Column = Column::new("READ", "/changeableAttributes/readEnabled");
const LISTED: Column = Column::new("LIST", "/changeableAttributes/listEnabled");
const UPDATED: Column = Column::new("UPDATED", "/lastUpdateTime");
const REPOSITORY: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("MANIFESTS", "/manifestCount"),
    Column::new("TAGS", "/tagCount"),
    UPDATED,
    WRITE,
    DELETE,
    READ,
    LISTED,
];
const TAG: &[Column] =
    &[Column::new("TAG", "/name"), Column::new("DIGEST", "/digest"), UPDATED, WRITE, DELETE, READ, LISTED];
const MANIFEST: &[Column] = &[
    Column::new("DIGEST", "/digest"),
    Column::new("TAGS", "/tags"),
    Column::new("SIZE", "/imageSize"),
    Column::new("OS", "/os"),
    Column::new("ARCH", "/architecture"),
    UPDATED,
    WRITE,
    DELETE,
    READ,
    LISTED,
];

pub async fn run(args: RepositoryArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(list) => {
            let path = list.registry.path();
            let names = all_pages(context, path.trim_end_matches('/'), list.top, Value::as_str).await?;
            context.show(&names, NAMES)?;
        }
        Command::Tags(contents) => show_contents(&contents, "_tags", TAG, context).await?,
        Command::Manifests(contents) => show_contents(&contents, "_manifests", MANIFEST, context).await?,
        Command::Show(target) => context.show(&context.server()?.get(&target.path()).await?, target.columns())?,
        Command::Delete(delete) => delete_target(&delete, context).await?,
        Command::Untag(untag) => remove_tag(&untag, context).await?,
        Command::Lock(lock) => change_lock(&lock, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_contents(contents: &Contents, what: &str, columns: &[Column], context: &Context) -> anyhow::Result<()> {
    let path = format!("{}{}/{what}", contents.registry.path(), contents.repository);
    let marker = if what == "_tags" { tag_name } else { manifest_digest };
    let found = all_pages(context, &path, contents.top, marker).await?;
    context.show(&found, columns)
}

fn tag_name(tag: &Value) -> Option<&str> {
    tag.get("name").and_then(Value::as_str)
}

fn manifest_digest(manifest: &Value) -> Option<&str> {
    manifest.get("digest").and_then(Value::as_str)
}

/// As `az` does it: an image by tag is its manifest, so all tags of that manifest go with it.
async fn delete_target(delete: &Delete, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    let target = &delete.target;
    let Some(image) = &target.image else {
        let repository = server.get(&target.path()).await?;
        let count = |key: &str| repository.get(key).and_then(Value::as_u64).unwrap_or(0);
        let (name, manifests, tags) = (target.path_name(), count("manifestCount"), count("tagCount"));
        let question = format!("delete the repository `{name}` with {manifests} manifests and {tags} tags?");
        context.confirm(delete.yes, &question)?;
        let _busy = context.printer.busy("deleting the repository");
        return Ok(server.delete(&target.path()).await?);
    };
    let (name, digest) = match image {
        Image::Manifest(name, digest) => (name, digest.to_string()),
        Image::Tag(name, _) => {
            let tag = server.get(&target.path()).await?;
            let digest = manifest_digest(&tag).ok_or_else(|| CliError::new("the answer names no digest"))?;
            (name, digest.to_owned())
        }
    };
    let path = format!("{}{name}/_manifests/{digest}", target.registry.path());
    let manifest = server.get(&path).await?;
    let tags: Vec<&str> =
        manifest.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let images = if tags.is_empty() { "no tag".to_owned() } else { format!("its tags {}", tags.join(", ")) };
    let what = format!("the manifest `{digest}` of `{name}` and {images}");
    context.confirm(delete.yes, &format!("delete {what}?"))?;
    server.delete(&path).await?;
    context.printer.note(&format!("deleted {what}"));
    Ok(())
}

impl Target {
    fn path_name(&self) -> &str {
        self.repository.as_ref().map_or("", RepositoryName::as_str)
    }
}

async fn remove_tag(untag: &Untag, context: &Context) -> anyhow::Result<()> {
    let Image::Tag(name, tag) = &untag.image else {
        return Err(CliError::usage("a digest is no tag").hint("give the tag to remove: `--image name:tag`").into());
    };
    Ok(context.server()?.delete(&format!("{}{name}/_tags/{tag}", untag.registry.path())).await?)
}

async fn change_lock(lock: &Lock, context: &Context) -> anyhow::Result<()> {
    let changes = [
        ("writeEnabled", lock.write_enabled),
        ("deleteEnabled", lock.delete_enabled),
        ("readEnabled", lock.read_enabled),
        ("listEnabled", lock.list_enabled),
    ];
    let body: Map<String, Value> =
        changes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::Bool(value?)))).collect();
    if body.is_empty() {
        return Err(CliError::usage("there is nothing to change")
            .hint("to lock, give `--write-enabled false --delete-enabled false`; to unlock, the same with `true`")
            .into());
    }
    let changed = context.server()?.patch(&lock.target.path(), &Value::Object(body)).await?;
    context.show(&changed, lock.target.columns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_tag_or_digest() {
        assert!(matches!("team/app".parse(), Ok(Image::Tag(_, tag)) if tag.as_str() == "latest"));
        assert!(matches!("team/app:v1".parse(), Ok(Image::Tag(name, _)) if name.as_str() == "team/app"));
        let digest = format!("app@sha256:{}", "0".repeat(64));
        assert!(matches!(digest.parse(), Ok(Image::Manifest(..))));
        for bad in ["", ":v1", "app:", "app@", "app@sha256:12", "APP:v1", "a/../b:v1"] {
            assert!(bad.parse::<Image>().is_err(), "{bad}");
        }
    }
}
