//! nginx as the origin: files, uploads, redirects, cookies, gzip, a repository, TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{clean_command, free_port, scratch};
use crate::process::Process;

/// A running nginx with a site of its own.
#[derive(Debug)]
pub struct Nginx {
    // Before `dir`: the process ends before its folder goes.
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
    tls_port: u16,
}

/// What `/hello.txt` says.
pub const HELLO: &str = "hello from nginx\n";

impl Nginx {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let dir = scratch();
        let (port, tls_port) = (free_port(), free_port());
        for name in ["site/put", "site/text", "temp"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("site/hello.txt"), HELLO).unwrap();
        fs::write(dir.path().join("site/text/long.txt"), "all work and no play\n".repeat(500))
            .unwrap();
        certificate(dir.path());
        fs::write(dir.path().join("nginx.conf"), configuration(dir.path(), port, tls_port))
            .unwrap();
        let mut command = clean_command("nginx", dir.path());
        command.arg("-p").arg(dir.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut process = Process::start("nginx", dir.path(), &command);
        process.wait_for_port(port);
        process.wait_for_port(tls_port);
        Self { process, dir, port, tls_port }
    }

    /// The port of plain HTTP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of HTTPS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Where its files are: `site/x` is `/x`.
    pub fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    /// The certificate of the HTTPS side, which is its own issuer.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("tls.pem")
    }

    /// What it has logged of requests, one line each: `METHOD URI STATUS BODY-BYTES`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("requests.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The process, to be measured.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// A self-signed certificate for the names the HTTPS origin is called by.
fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=secure", "-keyout", "tls.key", "-out", "tls.pem"])
        .args(["-addext", "subjectAltName=DNS:secure,DNS:secure.seacat"])
        .current_dir(dir)
        .output()
        .expect("openssl starts");
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
}

fn configuration(dir: &Path, port: u16, tls_port: u16) -> String {
    let dir = dir.display();
    format!(
        r#"
daemon off;
# One process: what the test starts is all there is, and ends when it is killed.
master_process off;
pid {dir}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format short '$request_method $request_uri $status $body_bytes_sent';
    access_log {dir}/requests.log short;
    client_body_temp_path {dir}/temp/body;
    proxy_temp_path {dir}/temp/proxy;
    fastcgi_temp_path {dir}/temp/fastcgi;
    uwsgi_temp_path {dir}/temp/uwsgi;
    scgi_temp_path {dir}/temp/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    types {{ text/plain txt; text/html html; }}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root {dir}/site;
        location /put/ {{ dav_methods PUT DELETE; }}
        location /dav/ {{ dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; }}
        location /moved {{ return 302 /hello.txt; }}
        location /gone-for-good {{ return 301 /hello.txt; }}
        location /no-content {{ return 204; }}
        location /text/ {{
            gzip on; gzip_types text/plain; gzip_min_length 1; gzip_proxied any;
            gzip_http_version 1.0;
        }}
        # As nginx comes: what is asked for with Via is not packed.
        location /packed/ {{ gzip on; gzip_types text/plain; gzip_min_length 1; }}
        location /cookies {{
            add_header Set-Cookie "first=1; Path=/";
            add_header Set-Cookie "second=2; Path=/";
            return 200 "two cookies\n";
        }}
        location /small {{ return 200 "0123456789abcdef\n"; access_log off; }}
    }}
    server {{
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {dir}/tls.pem;
        ssl_certificate_key {dir}/tls.key;
        location / {{ return 200 "hello from TLS\n"; }}
    }}
}}
"#
    )
}

#[cfg(test)]
mod harness {
    use super::*;
    use crate::http::{Client, request};

    /// Checks what the scenarios rely on at nginx itself.
    #[test]
    fn answers_as_the_scenarios_expect() {
        let nginx = Nginx::start();
        let mut client = Client::connect(nginx.port()).unwrap();
        let mut get = |path: &str| client.get(&format!("http://x{path}")).unwrap();
        assert_eq!(get("/hello.txt").text(), HELLO);
        assert_eq!(get("/no-content").status, 204);
        // nginx redirects to the name it was asked by, and to its own port.
        let moved = format!("http://x:{}/hello.txt", nginx.port());
        assert_eq!(get("/moved").fields("location"), [moved]);
        assert_eq!(get("/cookies").fields("set-cookie").len(), 2);
        let put = "PUT http://x/put/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(client.ask(put.as_bytes()).unwrap().status, 201);
        assert_eq!(fs::read_to_string(nginx.site().join("put/a")).unwrap(), "abc");
        let delete = request("DELETE", "http://x/put/a");
        assert_eq!(client.ask(delete.as_bytes()).unwrap().status, 204);
        assert!(nginx.requests().contains(&"PUT /put/a 201 0".to_owned()));
    }
}
