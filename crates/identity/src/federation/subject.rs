//! Which subjects of an issuer a federated credential means.

use shorepass_core::directory::SubjectRule;

/// What Entra allows, too.
const MAX_RULE_BYTES: usize = 600;

/// What the parts of a subject are separated by: GitHub's and GitLab's claims, Kubernetes' service accounts.
const SEPARATORS: [char; 2] = [':', '/'];

/// Why a subject rule is refused when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("the subject is empty; it is the issuer's `sub` claim, for example `repo:octo/app:ref:refs/heads/main`")]
    Empty,
    #[error("the subject is longer than {MAX_RULE_BYTES} bytes")]
    TooLong,
    #[error("the subject holds a control character")]
    ControlCharacter,
    /// Otherwise the `*` would stand for itself, and the user would wait for a match that never comes.
    #[error("an exact subject holds `*`; if it stands for any run of characters, say that this is a pattern")]
    StarInExact,
    #[error("the pattern holds no `*`; say that the subject is exact")]
    NoStar,
    #[error("the pattern begins with a `*`, so it would trust everybody at the issuer; name at least its first part")]
    Everybody,
}

/// Whether a rule may be written.
///
/// # Errors
/// Why not.
pub fn check_subject(rule: &SubjectRule) -> Result<(), SubjectError> {
    let (SubjectRule::Exact(text) | SubjectRule::Pattern(text)) = rule;
    if text.is_empty() {
        return Err(SubjectError::Empty);
    }
    if text.len() > MAX_RULE_BYTES {
        return Err(SubjectError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(SubjectError::ControlCharacter);
    }
    match (rule, text.contains('*')) {
        (SubjectRule::Exact(_), true) => Err(SubjectError::StarInExact),
        (SubjectRule::Pattern(_), false) => Err(SubjectError::NoStar),
        (SubjectRule::Pattern(_), true) if text.starts_with('*') => Err(SubjectError::Everybody),
        _ => Ok(()),
    }
}

/// Whether the rule means this subject, letter by letter: no case is folded, nothing is normalised. In a pattern `*`
/// stands for any run of characters, none included, but `:` and `/`.
#[must_use]
pub fn subject_matches(rule: &SubjectRule, subject: &str) -> bool {
    match rule {
        SubjectRule::Exact(exact) => exact == subject,
        SubjectRule::Pattern(pattern) => pattern_matches(pattern, subject),
    }
}

/// A `*` never crosses a separator, so both have the same separators, and what is between them matches part by part.
fn pattern_matches(pattern: &str, subject: &str) -> bool {
    let separators = |text: &str| text.chars().filter(|c| SEPARATORS.contains(c)).collect::<Vec<_>>();
    separators(pattern) == separators(subject)
        && pattern.split(SEPARATORS).zip(subject.split(SEPARATORS)).all(|(pattern, part)| part_matches(pattern, part))
}

/// The texts between the stars, in order: the first at the start, the last at the end, the others at the first place they
/// fit, which is never worse than a later one. Linear in the subject for each star.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == part };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(inner) = part.strip_prefix(first).and_then(|part| part.strip_suffix(last)) else { return false };
    let mut left = inner;
    for text in middle.split('*') {
        match left.split_once(text) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(pattern: &str, subject: &str) -> bool {
        subject_matches(&SubjectRule::Pattern(pattern.to_owned()), subject)
    }

    #[test]
    fn an_exact_subject_is_that_text_and_no_other() {
        let rule = SubjectRule::Exact("repo:octo/app:ref:refs/heads/main".to_owned());
        assert!(subject_matches(&rule, "repo:octo/app:ref:refs/heads/main"));
        for other in [
            "repo:octo/app:ref:refs/heads/main2",
            "repo:octo/app:ref:refs/heads/mai",
            "repo:Octo/app:ref:refs/heads/main",
            "repo:octo/app:ref:refs/heads/main ",
            "repo:octo/app:ref:refs/heads/ma\u{456}n",
            "",
        ] {
            assert!(!subject_matches(&rule, other), "{other}");
        }
        assert!(!subject_matches(&SubjectRule::Exact("repo:*".to_owned()), "repo:x"), "a star is only a star");
    }

    #[test]
    fn a_star_crosses_no_separator() {
        assert!(pattern("repo:octo/*:ref:refs/heads/main", "repo:octo/app:ref:refs/heads/main"));
        assert!(pattern("repo:octo/app:ref:refs/heads/release-*", "repo:octo/app:ref:refs/heads/release-1.2"));
        assert!(pattern("repo:octo/app:environment:*", "repo:octo/app:environment:prod"));
        assert!(pattern("system:serviceaccount:team-*:builder", "system:serviceaccount:team-a:builder"));
        assert!(pattern("repo:o/a*b*c", "repo:o/aXbbYbc"));
        for (rule, subject) in [
            ("repo:octo/*", "repo:octo/app:ref:refs/heads/main"),
            ("repo:octo/*:ref:refs/heads/main", "repo:octo/app:environment:x:ref:refs/heads/main"),
            ("repo:octo/app:ref:refs/heads/*", "repo:octo/app:ref:refs/heads/a/b"),
            ("repo:octo/app:*", "repo:octo/app:ref:refs/heads/main"),
            ("repo:octo/app:environment:*", "repo:octo/app:environment:prod:job:x"),
            ("repo:octo*", "repo:octopus/app"),
            ("repo:octo/*:x", "repo:octo/a/b:x"),
            ("repo:octo/*:x", "repo:octo:a/x"),
            ("system:serviceaccount:team-*:builder", "system:serviceaccount:team-a:evil:builder"),
            ("a:*b", "a:bc"),
            ("a:b*b", "a:b"),
        ] {
            assert!(!pattern(rule, subject), "{rule} {subject}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused() {
        let exact = |text: &str| check_subject(&SubjectRule::Exact(text.to_owned()));
        let pattern = |text: &str| check_subject(&SubjectRule::Pattern(text.to_owned()));
        assert_eq!(exact("repo:octo/app:ref:refs/heads/main"), Ok(()));
        assert_eq!(exact(""), Err(SubjectError::Empty));
        assert_eq!(exact(&"a".repeat(601)), Err(SubjectError::TooLong));
        assert_eq!(exact("a\nb"), Err(SubjectError::ControlCharacter));
        assert_eq!(exact("repo:octo/*"), Err(SubjectError::StarInExact));
        assert_eq!(pattern("repo:octo/app"), Err(SubjectError::NoStar));
        assert_eq!(pattern("*:*/*:*"), Err(SubjectError::Everybody));
        assert_eq!(pattern("repo:octo/*:environment:prod"), Ok(()));
    }

    /// The meaning, written as plainly as can be.
    fn reference(pattern: &[char], subject: &[char]) -> bool {
        match pattern.split_first() {
            None => subject.is_empty(),
            Some(('*', rest)) => {
                let run = subject.iter().take_while(|c| !SEPARATORS.contains(c)).count();
                (0..=run).any(|taken| reference(rest, &subject[taken..]))
            }
            Some((c, rest)) => subject.first() == Some(c) && reference(rest, &subject[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn patterns_match_as_the_reference_does(rule in "[ab:/*]{0,9}", subject in "[ab:/]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(pattern(&rule, &subject), reference(&chars(&rule), &chars(&subject)));
        }

        #[test]
        fn what_fills_the_stars_is_matched(parts in prop::collection::vec("[a-z.:/-]{0,5}", 2..5), fill in "[a-z0-9._-]{0,8}") {
            prop_assert!(pattern(&parts.join("*"), &parts.join(&fill)));
        }
    }
}
