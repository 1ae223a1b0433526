//! Management paths: found in the table of operations. A repository's name may hold slashes; the words behind it begin with
//! `_`, which no part of a name can.

use http::Method;

use super::operations::{OPERATIONS, Operation};
use crate::route::decode;

/// Where the API is.
pub const PREFIX: &str = "/api/v1";

/// A path of the API, with what stands at its parameters' places.
#[derive(Debug, Clone)]
pub struct ManagementRoute {
    template: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl ManagementRoute {
    /// `None` for what is no path of the API.
    #[must_use]
    pub fn parse(raw_path: &str) -> Option<Self> {
        let path = decode(raw_path)?;
        let segments: Vec<&str> = path.strip_prefix(PREFIX)?.strip_prefix('/')?.split('/').collect();
        OPERATIONS.iter().find_map(|operation| {
            let parameters = matching(operation.path, &segments)?;
            Some(Self { template: operation.path, parameters })
        })
    }

    /// For metrics and logs: bounded in number, whatever clients ask for.
    #[must_use]
    pub fn template(&self) -> &'static str {
        self.template
    }

    #[must_use]
    pub fn methods(&self) -> Vec<Method> {
        self.operations().map(|operation| operation.method.clone()).collect()
    }

    pub(super) fn operation(&self, method: &Method) -> Option<&'static Operation> {
        self.operations().find(|operation| operation.method == *method)
    }

    fn operations(&self) -> impl Iterator<Item = &'static Operation> {
        OPERATIONS.iter().filter(|operation| operation.path == self.template)
    }

    /// What stands at the place of that name; the table has one, or the text is empty.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// The names of a path's parameters. `{*name}` stands for several segments.
pub(super) fn parameters(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter_map(parameter)
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_prefix('*').unwrap_or(name))
}

fn matching(template: &'static str, segments: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let pattern: Vec<&'static str> = template.strip_prefix(PREFIX)?.strip_prefix('/')?.split('/').collect();
    let wide = pattern.iter().position(|segment| segment.starts_with("{*"));
    let extra = match wide {
        None if pattern.len() != segments.len() => return None,
        None => 0,
        Some(_) => segments.len().checked_sub(pattern.len())?,
    };
    let (mut found, mut at) = (Vec::new(), 0);
    for (index, word) in pattern.iter().enumerate() {
        let width = if Some(index) == wide { extra + 1 } else { 1 };
        let text = segments.get(at..at + width)?.join("/");
        at += width;
        match parameter(word) {
            Some(_) if text.is_empty() => return None,
            // A word of the API is never part of a repository's name, and no name begins with `_`.
            Some(_) if width > 1 && text.split('/').any(|part| part.starts_with('_')) => return None,
            Some(name) => found.push((name, text)),
            None if *word == text => {}
            None => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> (&'static str, Vec<(&'static str, String)>) {
        let route = ManagementRoute::parse(&format!("/api/v1{path}")).unwrap_or_else(|| panic!("{path}"));
        (route.template.strip_prefix(PREFIX).unwrap(), route.parameters)
    }

    #[test]
    fn repositories_with_slashes_are_told_from_what_follows() {
        let tag = |repository: &str, tag: &str| {
            vec![("registry", "default".to_owned()), ("repository", repository.to_owned()), ("tag", tag.to_owned())]
        };
        let base = "/registries/default/repositories";
        let (template, found) = parsed(&format!("{base}/team/app/_tags/v1"));
        assert_eq!(template, "/registries/{registry}/repositories/{*repository}/_tags/{tag}");
        assert_eq!(found, tag("team/app", "v1"));
        assert_eq!(parsed(&format!("{base}/a/_tags/v1")).1, tag("a", "v1"));
        for (path, repository) in [("/team/app", "team/app"), ("/team%2Fapp", "team/app"), ("/a", "a")] {
            let (template, found) = parsed(&format!("{base}{path}"));
            assert_eq!(template, "/registries/{registry}/repositories/{*repository}");
            assert_eq!(found.last().unwrap().1, repository);
        }
        assert_eq!(
            parsed(&format!("{base}/a/b/c/_manifests")).0,
            "/registries/{registry}/repositories/{*repository}/_manifests"
        );
    }

    #[test]
    fn words_come_before_names() {
        assert_eq!(parsed("/registries/check-name").0, "/registries/check-name");
        assert_eq!(parsed("/registries/default").0, "/registries/{registry}");
        assert_eq!(parsed("/registries/default/policies/_check").0, "/registries/{registry}/policies/_check");
    }

    #[test]
    fn what_is_not_in_the_table_is_not_there() {
        for bad in [
            "/api/v2/registries",
            "/",
            "/api/v1",
            "/api/v1/",
            "/api/v1/registries/",
            "/api/v1/nothing",
            "/API/v1/registries",
            "/api/v1/registries/default/repositories/a/_other",
        ] {
            assert!(ManagementRoute::parse(bad).is_none(), "{bad}");
        }
    }

    /// Otherwise the second could never be called.
    #[test]
    fn no_operation_hides_another() {
        for (at, operation) in OPERATIONS.iter().enumerate() {
            let path: Vec<String> = operation
                .path
                .split('/')
                .map(|segment| parameter(segment).map_or(segment.to_owned(), |name| format!("x{name}")))
                .collect();
            let route = ManagementRoute::parse(&path.join("/")).unwrap();
            assert_eq!(route.template, operation.path, "operation {at}");
            let same =
                OPERATIONS.iter().filter(|other| other.path == operation.path && other.method == operation.method);
            assert_eq!(same.count(), 1, "{} {}", operation.method, operation.path);
        }
    }
}
