//! The built-in roles, with the definitions and ids of the Azure contract (azure-clients.md, section 6); from them follows the
//! matrix of what-the-documents-say.md 2b.

use std::collections::HashMap;
use std::sync::LazyLock;

use uuid::Uuid;

use super::Role;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        /// The ids of built-in roles.
        pub mod role_id {
            use uuid::{Uuid, uuid};
            $($(#[$doc])* pub const $name: Uuid = uuid!($id);)*
        }
    };
}

ids! {
    OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c";
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9";
    RBAC_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168";
    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec";
    ACR_DELETE = "c2f4ef07-c644-48eb-af81-4b1b4947fb11";
    ACR_IMAGE_SIGNER = "6cef56e8-d556-48e5-a04f-b8e64114680f";
    ACR_QUARANTINE_READER = "cdda3590-29a3-44f6-95f2-9f980659eb04";
    ACR_QUARANTINE_WRITER = "c8d4ff99-41c3-41a8-9f60-21dfdad59608";
    REPOSITORY_READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac";
    REPOSITORY_WRITER = "2a1e307c-b015-4ebd-883e-5b7698a07328";
    REPOSITORY_CONTRIBUTOR = "2efddaa5-3f1f-4df3-97df-af3f13818f4c";
    CATALOG_LISTER = "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7";
    DATA_IMPORTER = "577a9874-89fd-4f24-9dbd-b5034d0ad23a";
    CONFIGURATION_ADMINISTRATOR = "3bc748fc-213d-45c1-8d91-9da5725539b9";
    CONFIGURATION_READER = "69b07be0-09bf-439a-b9a6-e73de851bd59";
    TASKS_CONTRIBUTOR = "fb382eab-e894-4461-af04-94435c366c3f";
}

struct Definition {
    id: Uuid,
    name: &'static str,
    description: &'static str,
    actions: &'static [&'static str],
    not_actions: &'static [&'static str],
    data_actions: &'static [&'static str],
}

impl Definition {
    const fn new(id: Uuid, name: &'static str, description: &'static str) -> Self {
        Self { id, name, description, actions: &[], not_actions: &[], data_actions: &[] }
    }
}

/// All built-in roles.
#[must_use]
pub fn built_in_roles() -> &'static [Role] {
    &BUILT_IN.0
}

/// The built-in role of this id.
#[must_use]
pub fn built_in_role(id: Uuid) -> Option<&'static Role> {
    BUILT_IN.1.get(&id).and_then(|at| BUILT_IN.0.get(*at))
}

static BUILT_IN: LazyLock<(Vec<Role>, HashMap<Uuid, usize>)> = LazyLock::new(|| {
    let roles: Vec<Role> = DEFINITIONS
        .iter()
        .map(|d| Role::resolve(d.id, d.name, true, d.description, d.actions, d.not_actions, d.data_actions))
        .collect();
    let by_id = roles.iter().enumerate().map(|(at, role)| (role.id, at)).collect();
    (roles, by_id)
});

const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";
const PUSH: &str = "Microsoft.ContainerRegistry/registries/push/write";
const READ_REGISTRY: &str = "Microsoft.ContainerRegistry/registries/read";
const REPOSITORY_CONTENT_READ: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";
const REPOSITORY_CONTENT_WRITE: &str = "Microsoft.ContainerRegistry/registries/repositories/content/write";
const REPOSITORY_METADATA_READ: &str = "Microsoft.ContainerRegistry/registries/repositories/metadata/read";
const REPOSITORY_METADATA_WRITE: &str = "Microsoft.ContainerRegistry/registries/repositories/metadata/write";
const CATALOG_READ: &str = "Microsoft.ContainerRegistry/registries/catalog/read";

/// What Contributor does not have of `*`: granting, in all its forms. Azure's own exceptions are those of
/// `Microsoft.Authorization`; the directory and the ways to become an identity are ours to guard, for whoever adds a secret
/// to an application or a trust to an identity holds its roles.
const NOT_OF_CONTRIBUTOR: &[&str] = &[
    "Microsoft.Authorization/*/delete",
    "Microsoft.Authorization/*/write",
    "Microsoft.Directory/*/delete",
    "Microsoft.Directory/*/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
];

static DEFINITIONS: &[Definition] = &[
    Definition { actions: &["*"], ..Definition::new(role_id::OWNER, "Owner", "Everything, granting roles included.") },
    Definition {
        actions: &["*"],
        not_actions: NOT_OF_CONTRIBUTOR,
        ..Definition::new(role_id::CONTRIBUTOR, "Contributor", "Everything but granting.")
    },
    Definition {
        actions: &["*/read"],
        ..Definition::new(role_id::READER, "Reader", "To see everything, and to pull.")
    },
    Definition {
        actions: &["*/read", "Microsoft.Authorization/*"],
        ..Definition::new(role_id::USER_ACCESS_ADMINISTRATOR, "User Access Administrator", "To manage who has access.")
    },
    Definition {
        actions: &[
            "*/read",
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
        ],
        ..Definition::new(
            role_id::RBAC_ADMINISTRATOR,
            "Role Based Access Control Administrator",
            "To grant and take roles.",
        )
    },
    Definition {
        actions: &[PULL],
        ..Definition::new(role_id::ACR_PULL, "AcrPull", "To pull, and to list repositories, tags and referrers.")
    },
    Definition {
        actions: &[PULL, PUSH],
        ..Definition::new(role_id::ACR_PUSH, "AcrPush", "To pull and push, to tag and to untag.")
    },
    Definition {
        actions: &["Microsoft.ContainerRegistry/registries/artifacts/delete"],
        ..Definition::new(role_id::ACR_DELETE, "AcrDelete", "To delete images and repositories.")
    },
    Definition {
        actions: &["Microsoft.ContainerRegistry/registries/sign/write"],
        data_actions: &["Microsoft.ContainerRegistry/registries/trustedCollections/write"],
        ..Definition::new(role_id::ACR_IMAGE_SIGNER, "AcrImageSigner", "To sign images.")
    },
    Definition {
        actions: &["Microsoft.ContainerRegistry/registries/quarantine/read"],
        data_actions: &["Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read"],
        ..Definition::new(
            role_id::ACR_QUARANTINE_READER,
            "AcrQuarantineReader",
            "To pull what is in quarantine, by digest.",
        )
    },
    Definition {
        actions: &[
            "Microsoft.ContainerRegistry/registries/quarantine/read",
            "Microsoft.ContainerRegistry/registries/quarantine/write",
        ],
        data_actions: &[
            "Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read",
            "Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write",
        ],
        ..Definition::new(
            role_id::ACR_QUARANTINE_WRITER,
            "AcrQuarantineWriter",
            "To pull what is in quarantine, and to let it out.",
        )
    },
    Definition {
        data_actions: &[REPOSITORY_CONTENT_READ, REPOSITORY_METADATA_READ],
        ..Definition::new(
            role_id::REPOSITORY_READER,
            "Container Registry Repository Reader",
            "To pull from repositories and to list their tags and manifests.",
        )
    },
    Definition {
        data_actions: &[
            REPOSITORY_CONTENT_READ,
            REPOSITORY_CONTENT_WRITE,
            REPOSITORY_METADATA_READ,
            REPOSITORY_METADATA_WRITE,
        ],
        ..Definition::new(
            role_id::REPOSITORY_WRITER,
            "Container Registry Repository Writer",
            "To pull from and push to repositories and to change their attributes.",
        )
    },
    Definition {
        data_actions: &[
            REPOSITORY_CONTENT_READ,
            REPOSITORY_CONTENT_WRITE,
            "Microsoft.ContainerRegistry/registries/repositories/content/delete",
            REPOSITORY_METADATA_READ,
            REPOSITORY_METADATA_WRITE,
            "Microsoft.ContainerRegistry/registries/repositories/metadata/delete",
        ],
        ..Definition::new(
            role_id::REPOSITORY_CONTRIBUTOR,
            "Container Registry Repository Contributor",
            "To pull, push and delete in repositories.",
        )
    },
    Definition {
        data_actions: &[CATALOG_READ],
        ..Definition::new(
            role_id::CATALOG_LISTER,
            "Container Registry Repository Catalog Lister",
            "To list all repositories of a registry.",
        )
    },
    Definition {
        actions: &[READ_REGISTRY, "Microsoft.ContainerRegistry/registries/importImage/action", PULL],
        data_actions: &[REPOSITORY_CONTENT_READ, REPOSITORY_METADATA_READ, CATALOG_READ],
        ..Definition::new(
            role_id::DATA_IMPORTER,
            "Container Registry Data Importer and Data Reader",
            "To import images, to pull, and to list repositories.",
        )
    },
    Definition {
        actions: &[
            READ_REGISTRY,
            "Microsoft.ContainerRegistry/registries/write",
            "Microsoft.ContainerRegistry/registries/delete",
            "Microsoft.ContainerRegistry/registries/listCredentials/action",
            "Microsoft.ContainerRegistry/registries/regenerateCredential/action",
            "Microsoft.ContainerRegistry/registries/generateCredentials/action",
            "Microsoft.ContainerRegistry/registries/tokens/*",
            "Microsoft.ContainerRegistry/registries/scopeMaps/*",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        ..Definition::new(
            role_id::CONFIGURATION_ADMINISTRATOR,
            "Container Registry Contributor and Data Access Configuration Administrator",
            "To manage registries, their admin account, tokens and scope maps; no content, no roles.",
        )
    },
    Definition {
        actions: &[
            READ_REGISTRY,
            "Microsoft.ContainerRegistry/registries/tokens/read",
            "Microsoft.ContainerRegistry/registries/scopeMaps/read",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        ..Definition::new(
            role_id::CONFIGURATION_READER,
            "Container Registry Configuration Reader and Data Access Configuration Reader",
            "To see registries, tokens and scope maps.",
        )
    },
    Definition {
        actions: &[
            READ_REGISTRY,
            "Microsoft.ContainerRegistry/registries/tasks/*",
            "Microsoft.ContainerRegistry/registries/scheduleRun/action",
        ],
        ..Definition::new(
            role_id::TASKS_CONTRIBUTOR,
            "Container Registry Tasks Contributor",
            "To manage and run tasks.",
        )
    },
];
