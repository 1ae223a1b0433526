//! Conditions of role assignments, version 2.0: what of a role's actions holds, and for what.
//!
//! A condition is read once, when its assignment is written or loaded, and asked on every decision. What it says about an
//! attribute that a request does not have is unknown, and unknown is no (three-valued logic: `NOT unknown` is unknown too).

mod lexer;
mod parser;

use shorepass_core::directory::{PrincipalKind, PrincipalRef};
use uuid::Uuid;

pub use parser::ConditionError;
#[cfg(test)]
use parser::{MAX_DEPTH, MAX_LENGTH};

/// A condition that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(Expression);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    /// `ActionMatches{'…'}`; the name is one of [`parser::ACTIONS`].
    Action(&'static str),
    Test(Test),
}

/// A comparison with what the request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Any of these; in lower case.
    Repository {
        comparison: Comparison,
        values: Vec<String>,
    },
    Role {
        negated: bool,
        values: Vec<Uuid>,
    },
    Principal {
        negated: bool,
        values: Vec<Uuid>,
    },
    PrincipalType {
        negated: bool,
        values: Vec<PrincipalKind>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equals,
    StartsWith,
    NotEquals,
    NotStartsWith,
}

/// What a request is about, as far as conditions can tell.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// In Azure's form: [`super::Right::data_action`] or [`super::ManagementAction::as_str`].
    pub action: &'a str,
    /// The repository's name, where there is one.
    pub repository: Option<&'a str>,
    /// What is granted or taken, when the action is to assign a role or to take it away.
    pub grantee: Option<&'a Grantee>,
}

/// Who is granted, or loses, which role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grantee {
    pub role: Uuid,
    pub principal: PrincipalRef,
}

impl Condition {
    /// # Errors
    /// [`ConditionError`], with the place.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        parser::parse(text).map(Self)
    }

    /// Whether the assignment holds for this.
    #[must_use]
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        self.0.value(subject) == Some(true)
    }
}

impl Expression {
    fn value(&self, subject: &Subject<'_>) -> Option<bool> {
        match self {
            Self::Not(inner) => inner.value(subject).map(|value| !value),
            Self::And(all) => decided(all, subject, false),
            Self::Or(any) => decided(any, subject, true),
            Self::Action(name) => Some(name.eq_ignore_ascii_case(subject.action)),
            Self::Test(test) => test.value(subject),
        }
    }
}

/// The first operand that is `deciding` decides; else one that is unknown leaves it unknown.
fn decided(operands: &[Expression], subject: &Subject<'_>, deciding: bool) -> Option<bool> {
    let mut value = Some(!deciding);
    for operand in operands {
        match operand.value(subject) {
            Some(found) if found == deciding => return Some(deciding),
            Some(_) => {}
            None => value = None,
        }
    }
    value
}

impl Test {
    fn value(&self, subject: &Subject<'_>) -> Option<bool> {
        let grantee = subject.grantee;
        match self {
            // Names of repositories have no upper case, and the values were folded when they were read.
            Self::Repository { comparison, values } => {
                let name = subject.repository?;
                let equals = || values.iter().any(|value| value == name);
                let starts = || values.iter().any(|value| name.starts_with(value.as_str()));
                Some(match comparison {
                    Comparison::Equals => equals(),
                    Comparison::StartsWith => starts(),
                    Comparison::NotEquals => !equals(),
                    Comparison::NotStartsWith => !starts(),
                })
            }
            Self::Role { negated, values } => Some(values.contains(&grantee?.role) != *negated),
            Self::Principal { negated, values } => Some(values.contains(&grantee?.principal.id) != *negated),
            Self::PrincipalType { negated, values } => Some(values.contains(&grantee?.principal.kind) != *negated),
        }
    }
}

#[cfg(test)]
mod tests;
