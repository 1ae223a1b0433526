use proptest::prelude::*;

use super::*;

const READ: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";
const WRITE: &str = "Microsoft.ContainerRegistry/registries/repositories/content/write";
const NAME: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]";
const GRANT: &str = "Microsoft.Authorization/roleAssignments/write";
const ROLE: &str = "@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]";

fn holds(text: &str, action: &str, repository: Option<&str>) -> bool {
    Condition::parse(text).unwrap().holds(&Subject { action, repository, grantee: None })
}

fn refused(text: &str) -> ConditionError {
    Condition::parse(text).unwrap_err()
}

#[test]
fn the_four_comparisons_ignore_case() {
    let on = |operator: &str, value: &str, name: &str| holds(&format!("{NAME} {operator} '{value}'"), READ, Some(name));
    assert!(on("StringEqualsIgnoreCase", "Team/App", "team/app"));
    assert!(!on("StringEqualsIgnoreCase", "team", "team/app"));
    assert!(on("stringstartswithignorecase", "TEAM/", "team/app"));
    assert!(!on("StringStartsWithIgnoreCase", "team/", "team"));
    assert!(!on("StringStartsWithIgnoreCase", "team/", "teams/app"));
    assert!(on("StringNotEqualsIgnoreCase", "team/app", "team/web"));
    assert!(!on("StringNotStartsWithIgnoreCase", "team/", "team/web"));
}

#[test]
fn a_guard_limits_only_the_actions_it_names() {
    let text = format!("( (!(ActionMatches{{'{READ}'}})) OR ({NAME} StringEqualsIgnoreCase 'a') )");
    assert!(holds(&text, READ, Some("a")));
    assert!(!holds(&text, READ, Some("b")));
    assert!(holds(&text, WRITE, Some("b")), "writing is not named, so it is not limited");
}

#[test]
fn several_guards_as_the_portal_writes_them() {
    let text = format!(
        "((!(ActionMatches{{'{READ}'}}) AND !(ActionMatches{{'{WRITE}'}})) OR ({NAME} StringStartsWithIgnoreCase 'a/' || \
         {NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{'b', 'c'}}))"
    );
    assert!(holds(&text, WRITE, Some("a/x")) && holds(&text, READ, Some("c")));
    assert!(!holds(&text, WRITE, Some("d")));
    assert!(holds(&text, &READ.replace("read", "delete"), Some("d")));
}

#[test]
fn not_binds_before_and_and_before_or() {
    let (a, b, c) = (
        format!("{NAME} StringEqualsIgnoreCase 'a'"),
        format!("{NAME} StringStartsWithIgnoreCase 'b/'"),
        format!("{NAME} StringEqualsIgnoreCase 'b/x'"),
    );
    assert!(holds(&format!("{a} OR {b} AND NOT {c}"), READ, Some("a")));
    assert!(holds(&format!("{a} || {b} && !{c}"), READ, Some("b/y")));
    assert!(!holds(&format!("{a} || {b} && !{c}"), READ, Some("b/x")));
    assert!(!holds(&format!("({a} || {b}) && !({a})"), READ, Some("a")));
}

#[test]
fn what_a_request_does_not_have_is_never_enough() {
    for text in [
        format!("{NAME} StringEqualsIgnoreCase 'a'"),
        format!("{NAME} StringNotEqualsIgnoreCase 'a'"),
        format!("!({NAME} StringEqualsIgnoreCase 'a')"),
        format!("!({NAME} StringEqualsIgnoreCase 'a' AND {NAME} StringNotEqualsIgnoreCase 'b')"),
        format!("{ROLE} GuidNotEquals 8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ] {
        assert!(!holds(&text, READ, None), "{text}");
    }
    let guarded = format!("{NAME} StringEqualsIgnoreCase 'a' OR !(ActionMatches{{'{READ}'}})");
    assert!(holds(&guarded, WRITE, None), "an operand that decides does so whatever stands before it");
}

#[test]
fn granting_can_be_limited_to_roles_and_principals() {
    let (pull, push) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let text = format!(
        "((!(ActionMatches{{'{GRANT}'}})) OR ({ROLE} ForAnyOfAnyValues:GuidEquals {{{pull}, {push}}} AND \
         @Resource[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAllValues:StringNotEqualsIgnoreCase {{'User', 'Group'}} AND \
         @Request[Microsoft.Authorization/roleAssignments:PrincipalId] GuidNotEquals {}))",
        Uuid::from_u128(9)
    );
    let condition = Condition::parse(&text).unwrap();
    let asks = |role: u128, kind: PrincipalKind, id: u128| {
        let grantee =
            Grantee { role: Uuid::from_u128(role), principal: PrincipalRef { kind, id: Uuid::from_u128(id) } };
        condition.holds(&Subject { action: GRANT, repository: None, grantee: Some(&grantee) })
    };
    assert!(asks(1, PrincipalKind::ServicePrincipal, 5));
    assert!(!asks(3, PrincipalKind::ServicePrincipal, 5), "another role");
    assert!(!asks(1, PrincipalKind::Group, 5), "another type");
    assert!(!asks(1, PrincipalKind::ManagedIdentity, 9), "that very principal");
}

#[test]
fn refusals_name_the_place_and_the_way_out() {
    for (text, position, part) in [
        (format!("{NAME} StringStartsWithIgnoreCase 'team'"), 95, "ends with `/`"),
        (format!("{NAME} StringEqualsIgnoreCase 'team/*'"), 91, "no repository's name"),
        (format!("{NAME} StringLike 'a'"), 68, "compared by"),
        (format!("{NAME} ForAnyOfAnyValues:StringNotEqualsIgnoreCase {{'a'}}"), 68, "ForAnyOfAllValues"),
        ("ActionMatches{'Microsoft.Authorization/*'}".to_owned(), 15, "wildcard"),
        ("ActionMatches{'Microsoft.ContainerRegistry/registries/pull/read'}".to_owned(), 15, "can limit"),
        (
            "@Resource[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase 'a'".into(),
            1,
            "@Request",
        ),
        ("@Request[Microsoft.Storage/x:name] StringEquals 'a'".to_owned(), 1, "no attribute"),
        (String::new(), 1, "expected"),
        ("(".to_owned(), 2, "expected"),
        (format!("{NAME} StringEqualsIgnoreCase 'a' {NAME}"), 95, "`AND`, `OR` or the end"),
        (format!("{NAME} StringEqualsIgnoreCase 'a"), 91, "no end"),
        ("é & x".to_owned(), 1, "no meaning"),
    ] {
        let error = refused(&text);
        assert!(error.reason.contains(part), "{text}: {error}");
        assert_eq!(error.position, position, "{text}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}{NAME} StringEqualsIgnoreCase 'a'{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Condition::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(refused(&nested(MAX_DEPTH + 1)).reason.contains("deep"));
    assert!(refused(&"!".repeat(5_000)).reason.contains("deep"));
    assert!(refused(&" ".repeat(MAX_LENGTH + 1)).reason.contains("8 KiB"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = Condition::parse(&text);
    }

    #[test]
    fn no_run_of_words_makes_it_panic(words in proptest::collection::vec(prop_oneof![
        Just("("), Just(")"), Just("!"), Just("AND"), Just("||"), Just("{"), Just("}"), Just(","), Just("'a/'"), Just("'é"),
        Just("ActionMatches"), Just("@Request["), Just("]"), Just(NAME), Just(ROLE), Just("StringEqualsIgnoreCase"),
        Just("ForAnyOfAnyValues:GuidEquals"), Just("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ], 0..30)) {
        let _ = Condition::parse(&words.join(" "));
    }
}
