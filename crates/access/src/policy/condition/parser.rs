//! Reads a condition: recursive descent, `NOT` before `AND` before `OR`.

use shorepass_core::RepositoryName;
use shorepass_core::directory::PrincipalKind;
use uuid::Uuid;

use super::lexer::{Placed, Token, tokens};
use super::{Comparison, Expression, Test};

/// Longest condition, in bytes (Azure's limit).
pub const MAX_LENGTH: usize = 8 * 1024;

/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 32;

/// A condition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub struct ConditionError {
    /// From 1.
    pub position: usize,
    pub reason: String,
}

/// The actions a condition can limit. One it named and could not limit would be an empty promise.
pub(super) const ACTIONS: [&str; 9] = [
    "Microsoft.ContainerRegistry/registries/repositories/content/read",
    "Microsoft.ContainerRegistry/registries/repositories/content/write",
    "Microsoft.ContainerRegistry/registries/repositories/content/delete",
    "Microsoft.ContainerRegistry/registries/repositories/metadata/read",
    "Microsoft.ContainerRegistry/registries/repositories/metadata/write",
    "Microsoft.ContainerRegistry/registries/repositories/metadata/delete",
    "Microsoft.ContainerRegistry/registries/catalog/read",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/roleAssignments/delete",
];

pub(super) fn parse(text: &str) -> Result<Expression, ConditionError> {
    let place = |at: usize| text.get(..at).map_or(at, |before| before.chars().count()) + 1;
    if text.len() > MAX_LENGTH {
        return Err(ConditionError { position: 1, reason: "a condition has at most 8 KiB".to_owned() });
    }
    let fail = |(at, reason): (usize, String)| ConditionError { position: place(at), reason };
    let tokens = tokens(text).map_err(|(at, reason)| fail((at, reason.to_owned())))?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() };
    let expression = parser.or(0).map_err(fail)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some((at, _)) => Err(fail((*at, "expected `AND`, `OR` or the end".to_owned()))),
    }
}

struct Parser<'a> {
    tokens: &'a [Placed<'a>],
    at: usize,
    /// Where the text ends, for errors there.
    end: usize,
}

type Failure = (usize, String);
type Parsed<T> = Result<T, Failure>;

impl<'a> Parser<'a> {
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(at, _)| *at)
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err((self.place(), reason.into()))
    }

    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<&'a Token<'a>> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    fn accept(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token<'_>, reason: &str) -> Parsed<()> {
        if self.accept(token) { Ok(()) } else { self.fail(reason) }
    }

    fn or(&mut self, depth: usize) -> Parsed<Expression> {
        let first = self.and(depth)?;
        let mut all = vec![first];
        while self.accept(&Token::Or) {
            all.push(self.and(depth)?);
        }
        Ok(one_or(all, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Parsed<Expression> {
        let first = self.unary(depth)?;
        let mut all = vec![first];
        while self.accept(&Token::And) {
            all.push(self.unary(depth)?);
        }
        Ok(one_or(all, Expression::And))
    }

    fn unary(&mut self, depth: usize) -> Parsed<Expression> {
        if depth > MAX_DEPTH {
            return self.fail(format!("a condition nests at most {MAX_DEPTH} deep"));
        }
        if self.accept(&Token::Not) {
            return Ok(Expression::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.accept(&Token::Open) {
            let inner = self.or(depth + 1)?;
            self.expect(&Token::Close, "expected `)`")?;
            return Ok(inner);
        }
        match self.peek() {
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("ActionMatches") => self.action(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("SubOperationMatches") => {
                self.fail("sub-operations are not supported: name the action in `ActionMatches`")
            }
            Some(Token::Attribute(source, name)) => self.test(source, name),
            _ => self.fail("expected `ActionMatches{'…'}`, an attribute as `@Request[…]`, `!` or `(`"),
        }
    }

    fn action(&mut self) -> Parsed<Expression> {
        self.at += 1;
        self.expect(&Token::OpenBrace, "expected `{'…'}` behind `ActionMatches`")?;
        let place = self.place();
        let Some(Token::Text(name)) = self.next() else {
            return Err((place, "expected an action in `'…'`".to_owned()));
        };
        self.expect(&Token::CloseBrace, "expected `}`: `ActionMatches` names one action")?;
        if name.contains('*') {
            return Err((place, "conditions name actions singly, without a wildcard".to_owned()));
        }
        let known = ACTIONS.iter().find(|action| action.eq_ignore_ascii_case(name));
        known.map(|action| Expression::Action(action)).ok_or_else(|| {
            let reason = format!("`{}` is no action that a condition can limit", crate::policy::excerpt(name));
            (place, reason)
        })
    }

    fn test(&mut self, source: &str, name: &str) -> Parsed<Expression> {
        let place = self.place();
        let attribute = Attribute::named(source, name).map_err(|reason| (place, reason))?;
        self.at += 1;
        let place = self.place();
        let operator = match self.next() {
            Some(Token::Word(word)) => Operator::named(word, attribute).map_err(|reason| (place, reason))?,
            _ => return Err((place, "expected an operator".to_owned())),
        };
        let values = self.values(operator.many)?;
        let test = operator.test(attribute, &values)?;
        Ok(Expression::Test(test))
    }

    /// One value, or several in braces.
    fn values(&mut self, many: bool) -> Parsed<Vec<(usize, &'a str)>> {
        if !many {
            return Ok(vec![self.value()?]);
        }
        self.expect(&Token::OpenBrace, "expected `{…}` behind this operator")?;
        let mut values = vec![self.value()?];
        while self.accept(&Token::Comma) {
            values.push(self.value()?);
        }
        self.expect(&Token::CloseBrace, "expected `,` or `}`")?;
        Ok(values)
    }

    fn value(&mut self) -> Parsed<(usize, &'a str)> {
        let place = self.place();
        match self.next() {
            Some(Token::Text(text) | Token::Word(text)) => Ok((place, text)),
            _ => Err((place, "expected a value".to_owned())),
        }
    }
}

fn one_or(mut all: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            join(all)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Repository,
    Role,
    Principal,
    PrincipalType,
}

impl Attribute {
    fn named(source: &str, name: &str) -> Result<Self, String> {
        let known = [
            ("Microsoft.ContainerRegistry/registries/repositories:name", Self::Repository),
            ("Microsoft.Authorization/roleAssignments:RoleDefinitionId", Self::Role),
            ("Microsoft.Authorization/roleAssignments:PrincipalId", Self::Principal),
            ("Microsoft.Authorization/roleAssignments:PrincipalType", Self::PrincipalType),
        ];
        let found = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, found)| found);
        let found = found.ok_or_else(|| format!("there is no attribute `{}`", crate::policy::excerpt(name)))?;
        // To take a role away is a request about an assignment that exists: Azure writes `@Resource` there.
        let of_resource = source.eq_ignore_ascii_case("Resource") && found != Self::Repository;
        if source.eq_ignore_ascii_case("Request") || of_resource {
            return Ok(found);
        }
        Err("this attribute is written `@Request[…]`".to_owned())
    }
}

#[derive(Clone, Copy)]
struct Operator {
    comparison: Comparison,
    many: bool,
}

impl Operator {
    fn named(word: &str, attribute: Attribute) -> Result<Self, String> {
        let (quantifier, name) =
            word.rsplit_once(':').map_or((None, word), |(quantifier, name)| (Some(quantifier), name));
        let guid = matches!(attribute, Attribute::Role | Attribute::Principal);
        let known: &[(&str, Comparison)] = match attribute {
            Attribute::Repository => &[
                ("StringEqualsIgnoreCase", Comparison::Equals),
                ("StringStartsWithIgnoreCase", Comparison::StartsWith),
                ("StringNotEqualsIgnoreCase", Comparison::NotEquals),
                ("StringNotStartsWithIgnoreCase", Comparison::NotStartsWith),
            ],
            _ if guid => &[("GuidEquals", Comparison::Equals), ("GuidNotEquals", Comparison::NotEquals)],
            _ => {
                &[("StringEqualsIgnoreCase", Comparison::Equals), ("StringNotEqualsIgnoreCase", Comparison::NotEquals)]
            }
        };
        let Some((_, comparison)) = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            return Err(format!("this attribute is compared by {}", names.join(", ")));
        };
        let negated = matches!(comparison, Comparison::NotEquals | Comparison::NotStartsWith);
        // "Differs from any of several" is true of everything; who writes it means all of them.
        let wanted = if negated { "ForAnyOfAllValues" } else { "ForAnyOfAnyValues" };
        match quantifier {
            None => Ok(Self { comparison: *comparison, many: false }),
            Some(q) if q.eq_ignore_ascii_case(wanted) => Ok(Self { comparison: *comparison, many: true }),
            Some(_) => Err(format!("with several values write `{wanted}:{name} {{…}}`")),
        }
    }

    fn test(self, attribute: Attribute, values: &[(usize, &str)]) -> Parsed<Test> {
        let negated = matches!(self.comparison, Comparison::NotEquals);
        Ok(match attribute {
            Attribute::Repository => Test::Repository {
                comparison: self.comparison,
                values: each(values, |value| repository(value, self.comparison))?,
            },
            Attribute::Role => Test::Role { negated, values: each(values, guid)? },
            Attribute::Principal => Test::Principal { negated, values: each(values, guid)? },
            Attribute::PrincipalType => Test::PrincipalType { negated, values: each(values, principal_type)? },
        })
    }
}

fn each<T>(values: &[(usize, &str)], read: impl Fn(&str) -> Result<T, String>) -> Parsed<Vec<T>> {
    values.iter().map(|(place, value)| read(value).map_err(|reason| (*place, reason))).collect()
}

/// A prefix ends with `/`: without it, `team` would also open `teamb` (what-the-documents-say.md 2b).
fn repository(value: &str, comparison: Comparison) -> Result<String, String> {
    let lower = value.to_ascii_lowercase();
    let prefix = matches!(comparison, Comparison::StartsWith | Comparison::NotStartsWith);
    let name = match (prefix, lower.strip_suffix('/')) {
        (true, Some(name)) => name,
        (true, None) => return Err(format!("a prefix ends with `/`: `{}/`", crate::policy::excerpt(value))),
        (false, _) => lower.as_str(),
    };
    if name.parse::<RepositoryName>().is_err() {
        return Err(format!("`{}` is no repository's name", crate::policy::excerpt(value)));
    }
    Ok(lower)
}

fn guid(value: &str) -> Result<Uuid, String> {
    Uuid::try_parse(value).map_err(|_| format!("`{}` is no GUID", crate::policy::excerpt(value)))
}

fn principal_type(value: &str) -> Result<PrincipalKind, String> {
    let known = [
        ("User", PrincipalKind::User),
        ("Group", PrincipalKind::Group),
        ("ServicePrincipal", PrincipalKind::ServicePrincipal),
        ("ManagedIdentity", PrincipalKind::ManagedIdentity),
    ];
    let found = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, kind)| kind).ok_or_else(|| {
        "the types of principals are `User`, `Group`, `ServicePrincipal` and `ManagedIdentity`".to_owned()
    })
}
