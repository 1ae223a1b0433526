//! Traces: what a collector is sent of a whole run holds no secret of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use shorepass_e2e::{Image, Server, ServerOptions, bearer};

use crate::tokens::{SCOPE, text};

/// Takes spans (OTLP over HTTP) and keeps their bytes.
struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let keep = Arc::clone(&received);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                std::thread::spawn(move || take(&connection, &keep));
            }
        });
        Self { endpoint, received }
    }
}

/// Reads requests until the connection ends.
fn take(connection: &TcpStream, keep: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && !line.trim().is_empty() {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        if length == 0 {
            return;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a whole body");
        keep.lock().expect("no reader panicked").extend(body);
        let mut answer = connection;
        answer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("an answer");
    }
}

#[tokio::test]
async fn traces_hold_requests_and_no_secret() {
    let collector = Collector::start();
    let mut server = Server::start(ServerOptions::with(&["--otlp-endpoint", &collector.endpoint]));
    let (admin, host) = (server.admin(), server.host());
    let token = text(&admin.token(&host, &[SCOPE]).await.expect(200), "access_token");
    server.keep_secret(&token);
    let refresh = server.refresh_token("default");
    server.keep_secret(&refresh);
    let form = [("grant_type", "refresh_token"), ("service", host.as_str()), ("refresh_token", refresh.as_str())];
    let _issued = server.http().post_form("/oauth2/token", &form).await.expect(200);
    let _pushed = Image::tiny("traced").push(&server.http().with(bearer(&token)), "team/app", "v1").await.expect(201);
    let _refused = server.http().with("Basic ZGVmYXVsdDpndWVzc2Vk".to_owned()).get("/v2/").await.expect(401);
    server.signal("TERM");
    assert!(server.wait().success());
    let spans = collector.received.lock().expect("no reader panicked").clone();
    let holds = |words: &str| spans.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(holds("/v2/{name}/manifests/{reference}"), "the push left no span");
    assert!(!holds("guessed") && !holds("ZGVmYXVsdDpndWVzc2Vk"));
    // Where the harness looks for the run's secrets when the server is dropped.
    std::fs::write(server.path("spans"), spans).expect("the spans are kept");
}
