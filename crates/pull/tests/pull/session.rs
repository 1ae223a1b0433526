use secrecy::ExposeSecret as _;
use shorepass_core::SystemClock;
use shorepass_pull::credential::NULL_GUID;
use shorepass_pull::local::LocalServer;
use shorepass_pull::session::Session;
use shorepass_pull::store::{CredentialStore, Stored};
use shorepass_pull::{Credential, RegistryHost, jwt};

use crate::fake::{self, PASSWORD, Registry, USER};

struct Machine {
    registry: Registry,
    server: RegistryHost,
    dir: tempfile::TempDir,
    store: CredentialStore,
}

impl Machine {
    async fn new() -> Self {
        let registry = Registry::start().await;
        let dir = tempfile::tempdir().unwrap();
        let store = CredentialStore::at(&dir.path().join("credentials.json"));
        Self { server: registry.host().parse().unwrap(), registry, dir, store }
    }

    fn serve_locally(&self) {
        fake::local_server(self.dir.path(), &self.registry);
    }

    fn sign_in(&self, user: &str, secret: &str) {
        self.store.put(&self.server, Stored::from(&Credential::new(user, secret.to_owned()))).unwrap();
    }

    async fn credential(&self) -> Option<Credential> {
        let local = LocalServer::at(self.dir.path());
        let session = Session { store: &self.store, local: Some(&local), clock: &SystemClock };
        session.credential(&self.server).await.unwrap()
    }

    fn lifetime(&self, seconds: i64) {
        self.registry.state.lock().unwrap().lifetime = seconds;
    }

    fn make(&self, subject: &str) -> String {
        self.registry.state.lock().unwrap().make("refresh_token", subject)
    }
}

#[tokio::test]
async fn a_stored_password_fetches_a_token_and_a_new_one_before_it_ends() {
    let machine = Machine::new().await;
    machine.sign_in(USER, PASSWORD);
    machine.lifetime(11 * 60);
    let first = machine.credential().await.unwrap();
    assert_eq!(first.username, NULL_GUID);
    assert_eq!(machine.credential().await.unwrap().expose(), first.expose(), "cached while it has time");
    assert_eq!(machine.registry.seen("GET", "/oauth2/token").len(), 1);

    machine.lifetime(9 * 60);
    machine.sign_in(USER, PASSWORD);
    let short = machine.credential().await.unwrap();
    let renewed = machine.credential().await.unwrap();
    assert_ne!(short.expose(), renewed.expose(), "less than ten minutes are too few");
}

#[tokio::test]
async fn without_refresh_tokens_or_without_the_registry_the_password_itself_is_given() {
    let machine = Machine::new().await;
    machine.sign_in(USER, PASSWORD);
    machine.registry.state.lock().unwrap().gives_refresh_tokens = false;
    let given = machine.credential().await.unwrap();
    assert_eq!((given.username.as_str(), given.expose()), (USER, PASSWORD));
}

#[tokio::test]
async fn the_server_on_this_machine_needs_no_sign_in() {
    let machine = Machine::new().await;
    assert!(machine.credential().await.is_none(), "no server, no sign-in");
    machine.serve_locally();
    let given = machine.credential().await.unwrap();
    assert_eq!(given.username, NULL_GUID);
    assert_eq!(jwt::subject(given.expose()).as_deref(), Some("operator"));

    let local = LocalServer::at(machine.dir.path());
    let session = Session { store: &machine.store, local: Some(&local), clock: &SystemClock };
    for other in ["r.example.com", "localhost:1"] {
        assert!(session.credential(&other.parse().unwrap()).await.unwrap().is_none(), "{other} is not here");
    }
    // Another loopback name of the same listener is `default` too.
    let alias = format!("localhost:{}", machine.registry.address.port()).parse().unwrap();
    assert!(session.credential(&alias).await.unwrap().is_some());
}

#[tokio::test]
async fn an_ending_token_is_renewed_for_the_operator_and_for_nobody_else() {
    let machine = Machine::new().await;
    machine.lifetime(60);
    let (operators, robots) = (machine.make("operator"), machine.make(USER));
    machine.lifetime(-60);
    let ended = machine.make(USER);
    machine.lifetime(3 * 3600);
    machine.serve_locally();

    machine.sign_in("<token>", &operators);
    let renewed = machine.credential().await.unwrap();
    assert_ne!(renewed.expose(), operators);
    assert_eq!(jwt::subject(renewed.expose()).as_deref(), Some("operator"));

    machine.sign_in(NULL_GUID, &robots);
    assert_eq!(machine.credential().await.unwrap().secret.expose_secret(), robots, "used up to its end");
    machine.sign_in(NULL_GUID, &ended);
    assert!(machine.credential().await.is_none(), "and then a new sign-in is due");
}
