//! Sign-in through a certified OpenID provider: npm's `oidc-provider`, started on loopback (tests/e2e/oidc). Ignored unless
//! it is installed: `OIDC_MODULES` names the folder where `npm install` was run with that folder's package.json.

use std::collections::HashMap;
use std::process::Stdio;

use serde_json::{Value, json};
use shorepass_core::directory::{
    ExternalIdentity, Group, Issuer, IssuerKeys, PrincipalKind, PrincipalRef, ProviderClient, User,
};
use shorepass_identity::hide_client_secret;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::Url;
use uuid::Uuid;

use super::people::{Browser, authorize, redeem};
use super::{COMMAND_LINE, Here, code};

const SECRET: &str = "a secret of the client";

struct Certified {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Certified {
    async fn start(here: &Here) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/oidc/provider.mjs");
        let modules = std::env::var("OIDC_MODULES").expect("OIDC_MODULES: where `npm install oidc-provider` was run");
        let mut child = Command::new("node")
            .arg(script)
            .env("OIDC_MODULES", modules)
            .env("OIDC_CLIENT_SECRET", SECRET)
            .env("SHOREPASS", format!("{}/{}", here.base(), here.tenant.guid))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = output.next_line().await.unwrap().expect("the provider starts");
        let issuer = ready.strip_prefix("ready ").expect(&ready).to_owned();
        Self { _child: child, input, output, issuer }
    }

    async fn groups(&mut self, names: &str) {
        self.input.write_all(format!("groups {names}\n").as_bytes()).await.unwrap();
        assert_eq!(self.output.next_line().await.unwrap().as_deref(), Some("done"));
    }
}

/// The person's browser at the provider.
#[derive(Default)]
struct Jar(HashMap<String, String>);

impl Jar {
    /// Follows the provider's redirects until they lead elsewhere, or to a page: its address and text.
    async fn send(&mut self, here: &Here, issuer: &str, mut url: Url, form: Option<&[(&str, &str)]>) -> (Url, String) {
        let mut form = form;
        loop {
            let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let headers = [("cookie", cookies.join("; "))];
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = match form.take() {
                Some(form) => here.post(url.as_str(), &headers, form).await,
                None => here.get(url.as_str(), &headers).await,
            };
            for set in answer.headers().get_all("set-cookie") {
                let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.0.insert(name.to_owned(), value.to_owned());
            }
            let Some(location) = answer.headers().get("location") else {
                return (url, answer.text().await.unwrap());
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if !url.as_str().starts_with(issuer) {
                return (url, String::new());
            }
        }
    }

    /// Signs in and consents wherever the provider asks; the address it sends the browser back to.
    async fn sign_in(&mut self, here: &Here, issuer: &str, start: &str) -> Url {
        let mut page = self.send(here, issuer, start.parse().unwrap(), None).await;
        for form in [&[("prompt", "login"), ("login", "ada"), ("password", "x")][..], &[("prompt", "consent")]] {
            if page.0.as_str().starts_with(issuer) {
                assert!(page.0.path().starts_with("/interaction/"), "{}: {}", page.0, page.1);
                page = self.send(here, issuer, page.0, Some(form)).await;
            }
        }
        page.0
    }

    async fn sign_out(&mut self, here: &Here, issuer: &str) {
        let (url, page) = self.send(here, issuer, format!("{issuer}/session/end").parse().unwrap(), None).await;
        let (_, rest) = page.split_once("name=\"xsrf\" value=\"").expect(&page);
        let form = [("xsrf", rest.split_once('"').unwrap().0), ("logout", "yes")];
        self.send(here, issuer, url.join("/session/end/confirm").unwrap(), Some(&form)).await;
    }
}

async fn trust(here: &Here, certified: &Certified) -> Uuid {
    let provider = here.provider();
    let document = Issuer {
        issuer: certified.issuer.clone(),
        keys: IssuerKeys::Discovery { url: None },
        ca: None,
        sign_in: Some(ProviderClient {
            client_id: "shorepass".to_owned(),
            client_secret: hide_client_secret(&provider.secrets, &*provider.random, SECRET),
            groups_claim: Some("groups".to_owned()),
        }),
    };
    here.add(here.tenant.id, "certified", document).await
}

async fn sign_in(here: &Here, certified: &Certified, jar: &mut Jar) -> Value {
    let mut browser = Browser::new(here);
    browser.open(&authorize(here, &[])).await;
    let (_, link) = browser.page.split_once("class=\"button\" href=\"").expect(&browser.page);
    let link = link.split_once('"').unwrap().0.replace("&amp;", "&");
    browser.open(&link).await;
    let back = jar.sign_in(here, &certified.issuer, &browser.location.clone().unwrap()).await;
    browser.open(back.as_str()).await;
    let code = browser.sent("code").unwrap_or_else(|| panic!("{back}: {}", browser.page));
    let (status, answer) = redeem(here, &code, &[]).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn refresh(here: &Here, answer: &Value) -> (u16, Value) {
    let (scope, token) = (here.management(), answer["refresh_token"].as_str().unwrap());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", COMMAND_LINE),
        ("refresh_token", token),
        ("scope", scope.as_str()),
    ];
    here.token(&form).await
}

#[tokio::test]
#[ignore = "needs node, and oidc-provider installed where OIDC_MODULES says"]
async fn a_certified_provider_signs_people_in_and_out() {
    let here = Here::start().await;
    let mut certified = Certified::start(&here).await;
    let issuer = trust(&here, &certified).await;
    let external = Some(ExternalIdentity { issuer, subject: "ship".to_owned() });
    let ship = here.add(here.tenant.id, "ship", Group { description: String::new(), external }).await;
    let mut jar = Jar::default();
    let first = sign_in(&here, &certified, &mut jar).await;
    let claims = here.claims(&first["access_token"], &here.base());
    let user = here.read::<User>(claims.oid).await;
    assert_eq!((user.name.as_str(), user.document.display_name.as_str()), ("ada#certified", "ada at the provider"));
    let member = PrincipalRef { kind: PrincipalKind::User, id: user.id };
    let groups = || here.world.running.app.directory.policy(|state| state.groups_of(member)).unwrap();
    assert_eq!(groups(), [ship]);
    assert_eq!(refresh(&here, &first).await.0, 200);
    certified.groups("").await;
    let second = sign_in(&here, &certified, &mut jar).await;
    assert_eq!(here.claims(&second["access_token"], &here.base()).oid, user.id, "the same person");
    assert!(groups().is_empty());
    assert_eq!(code(&refresh(&here, &first).await), (400, 50_173), "the lost group bites");
    assert_eq!(refresh(&here, &second).await.0, 200);
    jar.sign_out(&here, &certified.issuer).await;
    assert_eq!(code(&refresh(&here, &second).await), (400, 50_173), "signed out there, signed out here");
    let logins = here.audit("login", 3).await;
    assert!(logins.iter().any(|event| event["reason"] == json!("signed out at the provider")), "{logins:?}");
    here.world.running.shutdown().await;
}
