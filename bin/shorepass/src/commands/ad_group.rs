//! `shorepass ad-group`: groups of a tenant, which can hold roles, with the flags of `az ad group`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{ExternalOption, Name, TenantOption, segment};
use super::{changes, given, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct AdGroupArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a group
    Create(Create),
    /// List the groups
    List(TenantOption),
    /// Show a group
    Show(Target),
    /// Change a group
    Update(Update),
    /// Delete a group; its members stay
    Delete(Target),
    /// Who is in a group
    #[command(subcommand)]
    Member(Member),
}

#[derive(Debug, Subcommand)]
enum Member {
    /// Add a user, a group, a service principal or an identity
    Add(OneMember),
    /// Take somebody out; effective at once
    Remove(OneMember),
    /// List the members
    List(Target),
}

#[derive(Debug, Args)]
struct Target {
    /// Group, by name or id
    #[arg(short, long, visible_alias = "name", short_alias = 'n', value_name = "GROUP")]
    group: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self, rest: &str) -> String {
        self.tenant.path(&format!("groups/{}{rest}", self.group.segment()))
    }
}

#[derive(Debug, Args)]
struct Create {
    /// The group's name
    #[arg(short, long, visible_alias = "display-name")]
    name: Name,
    #[command(flatten)]
    tenant: TenantOption,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Required by `az`; nothing here has mail
    #[arg(long, hide = true)]
    mail_nickname: Option<String>,
    #[command(flatten)]
    external: ExternalOption,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Debug, Args)]
struct OneMember {
    #[command(flatten)]
    target: Target,
    /// Who: an id, a name, or `user:NAME`, `group:NAME`, `sp:APPID`, `identity:NAME`
    #[arg(long, visible_alias = "member", value_name = "PRINCIPAL")]
    member_id: Name,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("ID", "/id"),
    Column::new("DESCRIPTION", "/description"),
    Column::new("CREATED", "/creationDate"),
];
const MEMBERS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("TYPE", "/type"),
    Column::new("ID", "/id"),
    Column::new("FROM OUTSIDE", "/external"),
];

pub async fn run(args: AdGroupArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match args.command {
        Command::Create(create) => {
            let body = given([
                ("name", Some(json!(create.name.as_str()))),
                ("description", create.description.map(Value::String)),
                ("external", create.external.body()),
            ]);
            context.show(&server.post(&create.tenant.path("groups"), &body).await?, COLUMNS)?;
        }
        Command::List(tenant) => context.show(&whole_list(context, &tenant.path("groups"), &[]).await?, COLUMNS)?,
        Command::Show(target) => context.show(&server.get(&target.path("")).await?, COLUMNS)?,
        Command::Update(Update { target, description }) => {
            let body = changes([("description", description.map(Value::String))], "`--description`")?;
            context.show(&server.patch(&target.path(""), &body).await?, COLUMNS)?;
        }
        Command::Delete(target) => server.delete(&target.path("")).await?,
        Command::Member(Member::Add(OneMember { target, member_id })) => {
            let body = json!({ "member": member_id.as_str() });
            context.show(&server.post(&target.path("/members"), &body).await?, MEMBERS)?;
        }
        Command::Member(Member::List(target)) => {
            context.show(&whole_list(context, &target.path("/members"), &[]).await?, MEMBERS)?;
        }
        Command::Member(Member::Remove(one)) => remove(&one, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The server takes ids only here, so that nobody is taken out of a group by a name that fits another.
async fn remove(one: &OneMember, context: &Context) -> anyhow::Result<()> {
    let members = whole_list(context, &one.target.path("/members"), &[]).await?;
    let wanted = one.member_id.as_str();
    let ids: Vec<&str> = members.as_array().into_iter().flatten().filter_map(|member| is(member, wanted)).collect();
    match ids.as_slice() {
        [id] => Ok(context.server()?.delete(&one.target.path(&format!("/members/{}", segment(id)))).await?),
        [] => Err(CliError::new(format!("`{wanted}` is no member of `{}`", one.target.group.as_str()))
            .hint("see who is with `shorepass ad-group member list`; members of its groups are not its own")
            .into()),
        _ => Err(CliError::new(format!("`{wanted}` fits several members"))
            .hint("give an id, or `user:NAME` and so on")
            .into()),
    }
}

/// The member's id, if this names it.
fn is<'a>(member: &'a Value, wanted: &str) -> Option<&'a str> {
    let text = |key: &str| member.get(key).and_then(Value::as_str);
    let id = text("id")?;
    let (kind, name) = match wanted.split_once(':') {
        Some(("user", name)) => (Some("User"), name),
        Some(("group", name)) => (Some("Group"), name),
        Some(("sp", name)) => (Some("ServicePrincipal"), name),
        Some(("identity", name)) => (Some("ManagedIdentity"), name),
        _ => (None, wanted),
    };
    let fits = id.eq_ignore_ascii_case(name) || text("name").is_some_and(|own| own.eq_ignore_ascii_case(name));
    (fits && kind.is_none_or(|kind| text("type") == Some(kind))).then_some(id)
}
