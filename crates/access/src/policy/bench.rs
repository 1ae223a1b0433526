//! How long a decision takes, and whether it grows. Run by hand, in release mode:
//!
//! `cargo test --release -p shorepass-access --lib -- --ignored --nocapture bench`

use std::hint::black_box;
use std::time::Instant;

use shorepass_core::directory::{AccessPolicy, AssignmentScope, PrincipalKind, PrincipalRef, ScopeMap};
use shorepass_core::{Principal, RepositoryName};
use shorepass_store::resources::ResourceRow;
use uuid::Uuid;

use super::fixture::*;
use super::*;

struct Size {
    assignments: u128,
    tokens: u128,
    repositories: u128,
}

fn user_id(at: u128) -> Uuid {
    Uuid::from_u128(0x1_0000_0000 + at)
}

fn repository(at: u128) -> RepositoryName {
    format!("team-{}/project/app-{at}", at % 97).parse().unwrap()
}

/// A tenth of the assignments at the registry, the rest at one repository each, some of them with a condition; a scope map for
/// every ten tokens.
fn rows(size: &Size) -> Vec<ResourceRow> {
    let mut rows = Vec::new();
    let people = size.assignments / 10;
    for at in 0..people {
        rows.push(row(user_id(at), TENANT, &format!("user-{at}"), user(true)));
    }
    for at in 0..size.assignments {
        let to = PrincipalRef { kind: PrincipalKind::User, id: user_id(at % people) };
        let scope = match at / people {
            0 => at_registry(),
            _ => AssignmentScope::Repository { registry: REGISTRY, name: repository(at % size.repositories) },
        };
        let condition = (at / people == 0).then_some(
            "!(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'}) OR \
             @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team-1/'",
        );
        let document = assignment(role_id::REPOSITORY_READER, to, scope, condition);
        rows.push(row(Uuid::from_u128(0x2_0000_0000 + at), TENANT, &at.to_string(), document));
    }
    for at in 0..size.tokens {
        let map = Uuid::from_u128(0x3_0000_0000 + at / 10);
        rows.push(row(Uuid::from_u128(0x4_0000_0000 + at), REGISTRY, &format!("token-{at}"), token(map)));
    }
    for at in 0..size.tokens / 10 {
        let actions = (0..50).map(|n| format!("repositories/team-{}/p{n}/*/content/read", at % 97));
        let actions = actions.chain([format!("repositories/team-{}/*/content/read", at % 97)]).collect();
        let id = Uuid::from_u128(0x3_0000_0000 + at);
        rows.push(row(id, REGISTRY, &format!("map-{at}"), ScopeMap { description: String::new(), actions }));
    }
    rows
}

/// Microseconds: the median and the 99th percentile.
fn measure(state: &PolicyState, size: &Size, principal: impl Fn(u128) -> Principal) -> (f64, f64) {
    const ROUNDS: u128 = 20_000;
    let facts = facts(RoleMode::RbacAbac);
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|at| {
            let at = at * 7919;
            let (who, name) = (principal(at), repository(at % size.repositories));
            let question = question(&who, &facts, Some(&name), Right::ContentRead);
            let begin = Instant::now();
            black_box(state.decide(black_box(&question)));
            begin.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100] as f64 / 1000.0;
    (at(50), at(99))
}

#[test]
#[ignore = "a measurement, for release mode"]
fn bench_decisions() {
    let small = Size { assignments: 1_000, tokens: 500, repositories: 100 };
    let large = Size { assignments: 100_000, tokens: 50_000, repositories: 10_000 };
    let mut medians = Vec::new();
    for size in [small, large] {
        let begin = Instant::now();
        let mut state = PolicyState::load(rows(&size));
        println!("{} assignments, {} tokens: loaded in {:?}", size.assignments, size.tokens, begin.elapsed());
        let user = |at: u128| Principal::User { id: user_id(at % (size.assignments / 10)) };
        let busy = |at: u128| Principal::User { id: user_id(at % 100) };
        let token = |at: u128| Principal::RepositoryToken {
            registry: REGISTRY,
            id: Uuid::from_u128(0x4_0000_0000 + at % size.tokens),
        };
        let (few, users, tokens) =
            (measure(&state, &size, busy), measure(&state, &size, user), measure(&state, &size, token));
        println!("  100 users:   median {:.1} µs, p99 {:.1} µs", few.0, few.1);
        println!("  every user:  median {:.1} µs, p99 {:.1} µs", users.0, users.1);
        println!("  every token: median {:.1} µs, p99 {:.1} µs", tokens.0, tokens.1);
        medians.push([few.0, users.0, tokens.0]);
        let forbid =
            "forbid (principal, action, resource) when { resource has name && resource.name like \"secret/*\" };";
        for at in 0..20 {
            let document = AccessPolicy { text: forbid.to_owned(), enabled: true };
            state.apply(
                Uuid::from_u128(0x5000 + at),
                Some(&row(Uuid::from_u128(0x5000 + at), REGISTRY, &at.to_string(), document)),
            );
        }
        let with = measure(&state, &size, user);
        println!("  user, 20 operators' policies: median {:.1} µs, p99 {:.1} µs", with.0, with.1);
    }
    for (small, large) in medians[0].iter().zip(medians[1]) {
        println!("growth of the median {:.2}", large / small);
    }
}
