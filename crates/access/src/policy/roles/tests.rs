use super::*;
use crate::policy::Right;

const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";
const REPOSITORY_CONTENT_READ: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";

fn role(id: Uuid) -> &'static Role {
    built_in_role(id).unwrap()
}

fn rights(id: Uuid, mode: RoleMode) -> Vec<&'static str> {
    role(id).rights(mode).iter().map(Right::as_str).collect()
}

/// The matrix of what-the-documents-say.md 2b, row by row.
#[test]
fn the_matrix() {
    use ManagementAction as M;
    #[rustfmt::skip]
    let rows: &[(Uuid, [bool; 8])] = &[
        // resource manager, create/delete registry, push, pull, delete data, policies (locks), sign, assign roles
        (role_id::OWNER,                 [true,  true,  true,  true,  true,  true,  false, true ]),
        (role_id::CONTRIBUTOR,           [true,  true,  true,  true,  true,  true,  false, false]),
        (role_id::READER,                [true,  false, false, true,  false, false, false, false]),
        (role_id::ACR_PUSH,              [false, false, true,  true,  false, false, false, false]),
        (role_id::ACR_PULL,              [false, false, false, true,  false, false, false, false]),
        (role_id::ACR_DELETE,            [false, false, false, false, true,  false, false, false]),
        (role_id::ACR_IMAGE_SIGNER,      [false, false, false, false, false, false, true,  false]),
        (role_id::ACR_QUARANTINE_READER, [false, false, false, false, false, false, false, false]),
        (role_id::ACR_QUARANTINE_WRITER, [false, false, false, false, false, false, false, false]),
    ];
    for (id, expected) in rows {
        let role = role(*id);
        let has = |right| role.rights(RoleMode::Rbac).contains(right);
        let found = [
            role.manages(M::RegistryRead),
            role.manages(M::RegistryWrite) && role.manages(M::RegistryDelete),
            has(Right::ContentWrite),
            has(Right::ContentRead),
            has(Right::ContentDelete),
            has(Right::MetadataWrite),
            has(Right::Sign),
            role.manages(M::RoleAssignmentWrite),
        ];
        assert_eq!(found, *expected, "{}", role.name);
    }
    assert!(role(role_id::CONTRIBUTOR).manages(M::RoleAssignmentRead), "view only");
}

#[test]
fn what_the_notes_below_the_matrix_say() {
    assert_eq!(rights(role_id::ACR_PULL, RoleMode::Rbac), ["content/read", "metadata/read", "catalog/list"]);
    let push = ["content/read", "content/write", "metadata/read", "catalog/list", "untag"];
    assert_eq!(rights(role_id::ACR_PUSH, RoleMode::Rbac), push);
    assert!(role(role_id::READER).rights(RoleMode::Rbac).contains(Right::AttributesRead), "Reader also reads config");
    for (id, right) in [
        (role_id::ACR_QUARANTINE_READER, Right::QuarantineRead),
        (role_id::ACR_QUARANTINE_WRITER, Right::QuarantineWrite),
    ] {
        assert!(role(id).rights(RoleMode::Rbac).contains(right));
        assert!(!role(role_id::OWNER).rights(RoleMode::Rbac).contains(right));
    }
}

#[test]
fn abac_mode_reads_repository_roles_only_and_rbac_mode_none_of_them() {
    let classic = [role_id::OWNER, role_id::CONTRIBUTOR, role_id::READER, role_id::ACR_PULL, role_id::ACR_PUSH];
    for id in classic.into_iter().chain([role_id::ACR_DELETE, role_id::USER_ACCESS_ADMINISTRATOR]) {
        assert!(role(id).rights(RoleMode::RbacAbac).is_empty(), "{}", role(id).name);
    }
    for id in [role_id::REPOSITORY_READER, role_id::REPOSITORY_WRITER, role_id::REPOSITORY_CONTRIBUTOR] {
        assert!(role(id).rights(RoleMode::Rbac).is_empty(), "{}", role(id).name);
    }
    let reader = ["content/read", "metadata/read", "attributes/read"];
    assert_eq!(rights(role_id::REPOSITORY_READER, RoleMode::RbacAbac), reader);
    assert_eq!(rights(role_id::CATALOG_LISTER, RoleMode::RbacAbac), ["catalog/list"]);
    let importer = role(role_id::DATA_IMPORTER);
    for mode in [RoleMode::Rbac, RoleMode::RbacAbac] {
        assert!(importer.rights(mode).contains(Right::ContentRead), "{mode:?}");
        assert!(importer.rights(mode).contains(Right::CatalogList), "{mode:?}");
    }
}

#[test]
fn who_does_not_grant_cannot_become_who_does() {
    for id in [role_id::CONTRIBUTOR, role_id::CONFIGURATION_ADMINISTRATOR, role_id::READER] {
        for action in ManagementAction::ALL {
            let name = action.as_str();
            let grants = name.starts_with("Microsoft.Authorization") || name.starts_with("Microsoft.Directory");
            assert!(!(grants && !name.ends_with("/read") && role(id).manages(*action)), "{} {name}", role(id).name);
        }
    }
    assert!(!role(role_id::RBAC_ADMINISTRATOR).manages(ManagementAction::RoleDefinitionWrite));
}

#[test]
fn custom_roles_name_their_actions_singly() {
    let make = |actions: &[&str], data: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|a| (*a).to_owned()).collect();
        let definition =
            RoleDefinition { description: String::new(), actions: owned(actions), data_actions: owned(data) };
        Role::custom(Uuid::from_u128(1), "mine", &definition)
    };
    let role = make(&["microsoft.containerregistry/registries/PULL/read"], &[REPOSITORY_CONTENT_READ]).unwrap();
    assert!(role.rights(RoleMode::Rbac).contains(Right::CatalogList));
    assert!(role.rights(RoleMode::RbacAbac).contains(Right::ContentRead));
    for wild in ["*", "Microsoft.ContainerRegistry/*", "*/read"] {
        assert_eq!(make(&[wild], &[]).unwrap_err(), RoleError::Wildcard(wild.to_owned()));
    }
    assert!(matches!(make(&["Microsoft.Compute/disks/read"], &[]), Err(RoleError::Unknown(_))));
    assert!(matches!(make(&[REPOSITORY_CONTENT_READ], &[]), Err(RoleError::DataAction(_))));
    assert!(matches!(make(&[], &[PULL]), Err(RoleError::NoDataAction(_))));
    assert_eq!(make(&[], &[]).unwrap_err(), RoleError::Empty);
}

#[test]
fn conditions_and_scopes_that_could_do_nothing_are_refused() {
    let condition = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase 'a'";
    let registry = AssignmentScope::Registry { id: Uuid::from_u128(1) };
    let repository = AssignmentScope::Repository { registry: Uuid::from_u128(1), name: "a".parse().unwrap() };
    assert!(check_assignment(role(role_id::REPOSITORY_READER), &registry, Some(condition)).is_ok());
    for id in [role_id::CATALOG_LISTER, role_id::ACR_PULL] {
        assert!(matches!(check_assignment(role(id), &registry, Some(condition)), Err(AssignmentError::NoCondition(_))));
        assert!(matches!(check_assignment(role(id), &repository, None), Err(AssignmentError::Scope(_))));
    }
}
