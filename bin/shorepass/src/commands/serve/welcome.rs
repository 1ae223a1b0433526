//! What a newcomer types next.

use std::fmt::Write as _;
use std::path::Path;

/// The text of the first start. `data` is the data directory, where the next commands must be told it.
pub fn text(endpoint: &str, ca_file: Option<&Path>, data: Option<&Path>) -> String {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host).trim_end_matches('/');
    let plain = endpoint.starts_with("http://");
    let data = data.map(|path| format!(" --data {}", path.display())).unwrap_or_default();
    let mut text = format!("\nShorepass is running at {endpoint} and has made its first registry, `default`.\n");
    if let Some(ca_file) = ca_file {
        text.push_str(&trust(host, ca_file));
    }
    let verify = if plain { " --tls-verify=false" } else { "" };
    let _ = write!(
        text,
        "
Next, in another terminal:

  shorepass login{data}
      signs docker, or else podman, in as this machine's operator

  docker tag IMAGE {host}/hello:v1
  docker push {host}/hello:v1
  docker pull {host}/hello:v1

or, with podman:

  podman tag IMAGE {host}/hello:v1
  podman push{verify} {host}/hello:v1
  podman pull{verify} {host}/hello:v1

  shorepass repository list{data}
  shorepass admin enable{data}
      makes a user name and two passwords, for machines that are not this one
"
    );
    text
}

/// How clients come to trust a CA that we made ourselves.
fn trust(host: &str, ca_file: &Path) -> String {
    let ca = ca_file.display();
    format!(
        "
Its certificate is signed by its own CA, {ca}, which clients must trust:

  docker and podman:
    sudo install -D -m 644 {ca} /etc/docker/certs.d/{host}/ca.crt
  podman, without root:
    install -D -m 644 {ca} ~/.config/containers/certs.d/{host}/ca.crt
  the whole system (Debian):
    sudo install -m 644 {ca} /usr/local/share/ca-certificates/shorepass.crt && sudo update-ca-certificates
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_tells_podman_so_and_self_signed_tells_whom_to_trust() {
        let plain = text("http://127.0.0.1:5000", None, None);
        assert!(plain.contains("docker push 127.0.0.1:5000/hello:v1"), "{plain}");
        assert!(plain.contains("podman push --tls-verify=false 127.0.0.1:5000/hello:v1"), "{plain}");
        assert!(!plain.contains("--data"), "{plain}");
        let tls = text("https://127.0.0.1:5000", Some(Path::new("/d/ca.pem")), Some(Path::new("/d")));
        assert!(tls.contains("/d/ca.pem /etc/docker/certs.d/127.0.0.1:5000/ca.crt"), "{tls}");
        assert!(!tls.contains("--tls-verify"), "{tls}");
        assert!(tls.contains("shorepass login --data /d"), "{tls}");
    }
}
