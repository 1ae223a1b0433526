//! The engine against a reference that is written separately, slowly and plainly from the documents: lists instead of indices,
//! a table of roles instead of their definitions, fixpoints instead of walks.

mod documents;
mod evaluate;
mod generate;
mod world;

use proptest::prelude::*;
use shorepass_store::resources::ResourceRow;

use self::documents::{documents, engine};
use self::evaluate::reference;
use self::generate::{questions, worlds};
use self::world::Who;
use super::PolicyState;

/// Turns one world into the other, document by document.
fn transform(state: &mut PolicyState, before: &[ResourceRow], after: &[ResourceRow]) {
    for row in before.iter().filter(|old| after.iter().all(|new| new.id != old.id)) {
        state.apply(row.id, None);
    }
    for row in after.iter().filter(|new| !before.contains(new)) {
        state.apply(row.id, Some(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_engine_agrees_with_the_reference(
        world in worlds(),
        other in worlds(),
        questions in proptest::collection::vec(questions(), 30),
    ) {
        let (rows, others) = (documents(&world), documents(&other));
        let mut state = PolicyState::load(rows.clone());
        for question in &questions {
            prop_assert_eq!(engine(&state, question), reference(&world, question), "{:?}", question);
        }
        transform(&mut state, &rows, &others);
        for question in &questions {
            prop_assert_eq!(engine(&state, question), reference(&other, question), "after changes: {:?}", question);
        }
    }
}

/// Agreement would be worth little if hardly anything were allowed.
#[test]
fn the_generated_questions_are_answered_both_ways() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut allowed, mut by_role, total) = (0, 0, 2000);
    for _ in 0..total {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let question = questions().new_tree(&mut runner).unwrap().current();
        let yes = reference(&world, &question);
        allowed += usize::from(yes);
        by_role += usize::from(yes && world.policies.is_empty() && matches!(question.who, Who::Directory(_)));
    }
    assert!(allowed * 20 > total && allowed * 2 < total, "{allowed} of {total}");
    assert!(by_role * 100 > total, "{by_role} of {total}");
}
