//! Registries of others that take our tokens.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use http::Method;
use shorepass_e2e::{Http, Image, MEDIA_MANIFEST, Server, ServerOptions, bearer, eventually};

use crate::tokens::{SCOPE, text};

/// A stock CNCF distribution that trusts our certificate takes our tokens.
async fn docker_registry_accepts_our_tokens(signing: &str) {
    let server = Server::start(ServerOptions::with(&["--signing", signing]));
    let (admin, host) = (server.admin(), server.host());
    let registry = DockerRegistry::start(&server).await;
    let http = Http::new(&format!("http://{}", registry.address), None);
    let challenge = http.get("/v2/").await.expect(401);
    assert!(challenge.header("www-authenticate").contains(&host), "it sends clients to us");
    let token = text(&admin.token(&host, &[SCOPE]).await.expect(200), "access_token");
    let image = Image::tiny("elsewhere");
    let _pushed = image.push(&http.with(bearer(&token)), "team/app", "v1").await.expect(201);
    let reader = text(&admin.token(&host, &["repository:team/app:pull"]).await.expect(200), "access_token");
    let reader = http.with(bearer(&reader));
    let manifest = "/v2/team/app/manifests/v1";
    let _pulled = reader.send(Method::GET, manifest, &[("Accept", MEDIA_MANIFEST)], "").await.expect(200);
    let _refused = reader.push_blob("team/app", b"more").await.expect(401);
}

#[tokio::test]
async fn docker_registry_accepts_our_es256_tokens() {
    docker_registry_accepts_our_tokens("es256").await;
}

#[tokio::test]
async fn docker_registry_accepts_our_rs256_tokens() {
    docker_registry_accepts_our_tokens("rs256").await;
}

struct DockerRegistry {
    child: Child,
    address: String,
}

impl DockerRegistry {
    async fn start(server: &Server) -> Self {
        let certificates = server.http().get("/oauth2/certificates").await.expect(200);
        let (bundle, config) = (server.path("bundle.pem"), server.path("registry.yml"));
        std::fs::write(&bundle, &certificates.body).expect("the bundle is written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
        let mut file = std::fs::File::create(&config).expect("the configuration is written");
        writeln!(
            file,
            "version: 0.1\nlog: {{level: debug}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n\
             http: {{addr: \"{free}\"}}\nauth:\n  token:\n    realm: {endpoint}/oauth2/token\n    service: \"{host}\"\n    \
             issuer: Shorepass\n    rootcertbundle: {bundle}",
            root = server.path("registry").display(),
            endpoint = server.endpoint(),
            host = server.host(),
            bundle = bundle.display(),
        )
        .expect("the configuration is written");
        let log = std::fs::File::create(server.path("registry.log")).expect("a log");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("docker-registry is installed: run `cargo xtask test`");
        let registry = Self { child, address: free.to_string() };
        eventually("docker-registry", async || TcpStream::connect(free).ok()).await;
        registry
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
