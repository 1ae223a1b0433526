//! The matrix: every route and method of the router × everybody who must not, or may, pass (DESIGN.md 4.1).
//!
//! The samples come from a `match` over [`Route`] without a wildcard, and what each needs from the router itself: a route
//! that is added is covered, or the test does not compile.

use http::Method;
use shorepass_core::{Action, Principal};
use shorepass_identity::{Access, Claims, GrantType};
use uuid::Uuid;

use crate::route::{Need, Route};
use crate::testing::{World, access};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// One path of each route on a repository.
fn samples(repository: &str) -> Vec<(Route, String)> {
    let paths = [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        format!("/v2/{repository}/tags/list"),
        format!("/v2/{repository}/manifests/latest"),
        format!("/v2/{repository}/manifests/{DIGEST}"),
        format!("/v2/{repository}/blobs/{DIGEST}"),
        format!("/v2/{repository}/blobs/uploads/"),
        format!("/v2/{repository}/blobs/uploads/{}", Uuid::nil()),
        format!("/v2/{repository}/referrers/{DIGEST}"),
        "/oauth2/token".to_owned(),
        "/oauth2/exchange".to_owned(),
        "/oauth2/keys".to_owned(),
        "/oauth2/certificates".to_owned(),
        "/".to_owned(),
    ];
    let samples: Vec<_> = paths.into_iter().map(|path| (Route::parse(&path).unwrap(), path)).collect();
    let mut kinds: Vec<usize> = samples.iter().map(|(route, _)| kind(route)).collect();
    kinds.dedup();
    assert_eq!(kinds, (0..KINDS).collect::<Vec<_>>(), "a route has no sample");
    samples
}

const KINDS: usize = 13;

fn kind(route: &Route) -> usize {
    match route {
        Route::Ping => 0,
        Route::Catalog => 1,
        Route::Tags(_) => 2,
        Route::Manifest(..) => 3,
        Route::Blob(..) => 4,
        Route::Uploads(_) => 5,
        Route::Upload(..) => 6,
        Route::Referrers(..) => 7,
        Route::Token => 8,
        Route::Exchange => 9,
        Route::Keys => 10,
        Route::Certificates => 11,
        Route::Root => 12,
    }
}

/// What is shown, and which actions it must open on the repository `app`.
struct Visitor {
    name: String,
    authorization: Option<String>,
    opens: Vec<Action>,
    signed_in: bool,
}

impl World {
    async fn send(&self, visitor: &Visitor, method: &Method, path: &str) -> reqwest::Response {
        let authorization: Vec<_> =
            visitor.authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        self.request(method.clone(), path, &authorization, "").await
    }

    fn visitor(&self, name: &str, claims: &Claims, opens: &[Action], signed_in: bool) -> Visitor {
        Visitor { name: name.to_owned(), authorization: Some(self.bearer(claims)), opens: opens.to_vec(), signed_in }
    }

    fn visitors(&self) -> Vec<Visitor> {
        let nobody = |name: &str, authorization: Option<&str>| Visitor {
            name: name.to_owned(),
            authorization: authorization.map(str::to_owned),
            opens: Vec::new(),
            signed_in: false,
        };
        let mut all = vec![
            nobody("anonymous", None),
            nobody("garbage token", Some("Bearer garbage")),
            // An unknown user, a known one with a wrong password, the null GUID with none.
            nobody("stranger", Some("Basic c3RyYW5nZXI6c2VjcmV0")),
            nobody("wrong password", Some("Basic ZGVmYXVsdDp3cm9uZw==")),
            nobody("no token", Some("Basic MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==")),
            nobody("digest scheme", Some("Digest username=\"x\"")),
        ];
        let full = || vec![access("app", &["pull", "push", "delete", "metadata_read", "metadata_write"])];
        all.push(self.visitor("no scope", &self.claims(Vec::new()), &[], true));
        all.push(self.visitor(
            "another repository",
            &self.claims(vec![access("app2", &["pull", "push", "delete"])]),
            &[],
            true,
        ));
        all.push(self.visitor(
            "longer name",
            &self.claims(vec![access("app/x", &["pull", "push", "delete"])]),
            &[],
            true,
        ));
        let mut other = self.claims(full());
        other.shorepass.registry = Uuid::max();
        all.push(self.visitor("another registry's id", &other, &[], false));
        let mut other = self.claims(full());
        other.aud = "other.shore.test".to_owned();
        all.push(self.visitor("another login server", &other, &[], false));
        let mut expired = self.claims(full());
        (expired.iat, expired.nbf, expired.exp) = (expired.iat - 900, expired.nbf - 900, expired.exp - 900);
        all.push(self.visitor("expired", &expired, &[], false));
        let mut refresh = self.claims(full());
        refresh.grant_type = GrantType::RefreshToken;
        all.push(self.visitor("refresh token as bearer", &refresh, &[], false));
        let mut admin = self.claims(full());
        admin.shorepass.principal = Principal::Admin { registry: self.home.registry.id };
        all.push(self.visitor("disabled admin", &admin, &[], false));
        let mut anonymous = self.claims(full());
        anonymous.shorepass.principal = Principal::Anonymous;
        all.push(self.visitor("anonymous token while anonymous pull is off", &anonymous, &[], false));
        for action in Action::ALL {
            let entry = match action {
                Action::CatalogList => {
                    Access { kind: "registry".to_owned(), name: "catalog".to_owned(), actions: vec!["*".to_owned()] }
                }
                _ => access("app", &[action.wire()]),
            };
            let mut opens = vec![action];
            if action == Action::ContentRead {
                // Clients list tags with the token they pull with.
                opens.push(Action::MetadataRead);
            }
            all.push(self.visitor(&format!("only {action}"), &self.claims(vec![entry]), &opens, true));
        }
        all.push(self.visitor("everything on app", &self.claims(full()), &Action::ALL[..5], true));
        all
    }
}

#[tokio::test]
async fn nobody_passes_without_the_right_and_everybody_with_it() {
    let world = World::start().await;
    for visitor in world.visitors() {
        for (route, path) in samples("app") {
            for method in route.methods() {
                let need = route.need(method).unwrap();
                let passes = match &need {
                    Need::Nothing => continue,
                    Need::SignedIn => visitor.signed_in,
                    Need::Catalog => visitor.opens.contains(&Action::CatalogList),
                    Need::Repository { action, .. } => visitor.opens.contains(action),
                };
                let answer = world.send(&visitor, method, &path).await;
                let (status, case) = (answer.status(), format!("{} {method} {path}", visitor.name));
                // 429: whoever guesses meets the limit on guessing somewhere along the matrix.
                assert_eq!(!matches!(status.as_u16(), 401 | 429), passes, "{case}: {status}");
                assert_ne!(status.as_u16(), 403, "{case}");
                assert!(!status.is_server_error(), "{case}: {status}");
                if status.as_u16() == 401 {
                    let challenge = answer.headers().get("www-authenticate").unwrap().to_str().unwrap();
                    assert!(challenge.starts_with("Bearer realm=\"http://default.shore.test:"), "{case}: {challenge}");
                    assert_eq!(challenge.contains("scope="), need != Need::SignedIn, "{case}: {challenge}");
                }
            }
        }
    }
    world.running.shutdown().await;
}

#[tokio::test]
async fn what_exists_and_what_does_not_look_the_same_to_who_may_not_know() {
    let world = World::start().await;
    let everything = world.visitor("owner", &world.claims(vec![access("app", &["pull", "push"])]), &[], true);
    let url = format!("http://{}/v2/app/blobs/uploads/?digest=sha256:{}", world.running.listen_addr(), EMPTY);
    let pushed = world.client.post(url).header("host", world.host());
    let pushed = pushed.header("authorization", everything.authorization.as_ref().unwrap()).send().await.unwrap();
    assert_eq!(pushed.status().as_u16(), 201);
    for visitor in world.visitors().iter().filter(|visitor| visitor.opens.is_empty() && !guesses(visitor)) {
        for ((route, here), (_, absent)) in samples("app").into_iter().zip(samples("gone")) {
            for method in
                route.methods().iter().filter(|_| matches!(route.need(&Method::GET), Some(Need::Repository { .. })))
            {
                let (here, absent) =
                    (world.send(visitor, method, &here).await, world.send(visitor, method, &absent).await);
                assert_eq!(here.status(), absent.status(), "{}", visitor.name);
                let challenge = |answer: &reqwest::Response| {
                    answer.headers()["www-authenticate"].to_str().unwrap().replace(":gone:", ":app:")
                };
                assert_eq!(challenge(&here), challenge(&absent));
                let (here, absent) = (here.text().await.unwrap(), absent.text().await.unwrap());
                assert_eq!(here, absent.replace("\"gone\"", "\"app\""));
            }
        }
    }
    world.running.shutdown().await;
}

/// Shows a password, and would meet the limit on guessing before the test's end.
fn guesses(visitor: &Visitor) -> bool {
    visitor.authorization.as_ref().is_some_and(|authorization| authorization.starts_with("Basic"))
}

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
