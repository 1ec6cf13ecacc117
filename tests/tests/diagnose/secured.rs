//! Who answers: TLS, the certificate, the clock.

use std::fs;
use std::path::Path;

use seacat_tests::{
    ChannelTls, Day, Gateway, Nginx, Process, Proxy, clean_command, free_port, scratch, write_pki,
};

use crate::table::{Said, Table, alone, gateway, home};

/// Long after this suite.
const LATER: Day = (2090, 1, 1);

/// An HTTPS server with the certificate in `dir`.
fn https_server(dir: &Path) -> (Process, u16) {
    let port = free_port();
    let at = dir.display();
    let text = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; \
         fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {at}/server.pem; \
         ssl_certificate_key {at}/server.key; location / {{ return 200 \"hello\"; }} }} }}\n"
    );
    fs::write(dir.join("nginx.conf"), text).unwrap();
    let mut command = clean_command("nginx", dir);
    command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "stderr"]);
    let mut process = Process::start("nginx", dir, &command);
    process.wait_for_port(port);
    (process, port)
}

/// A gateway with a certificate of a CA that ends, and one that ends, on these days.
fn dated(ca_until: Day, until: Day) -> Gateway {
    let gateway = Gateway::prepared(&[]);
    write_pki(gateway.folder(), "The Gateway's CA", ca_until, until);
    gateway.started()
}

/// `diagnose` at another time.
fn at(offset: &str, lines: &str) -> Said {
    let home = home(lines);
    let proxy = Proxy::command(home.path());
    let mut command = clean_command("faketime", home.path());
    for (name, value) in proxy.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // Time passes as it does, only the calendar is wrong.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.args(["-f", offset]).arg(proxy.get_program());
    Said::by(command.args(["--config", "config.toml", "diagnose", "--json"]))
}

#[test]
fn who_answers() {
    let mut table = Table::default();
    let there = Gateway::start(&[]);
    let other = Gateway::start(&[]);
    let to = |port, ca: &Path, more: &str| alone(&gateway("localhost", port, ca, more));

    let dir = scratch();
    write_pki(dir.path(), "Corporate Inspection CA", LATER, LATER);
    let (_inspector, port) = https_server(dir.path());
    let said = to(port, &there.ca(), "");
    table.row("TLS is intercepted", "SC-TLS-INTERCEPTED", &["Corporate Inspection CA"], &said);
    let said = to(port, &dir.path().join("ca.pem"), "");
    table.row("an HTTPS server, rightly certified", "SC-HTTPS-SERVER", &["localhost"], &said);

    let nginx = Nginx::start();
    let said = to(nginx.tls_port(), &there.ca(), "");
    table.row("an HTTPS server instead of a gateway", "SC-HTTPS-SERVER", &["CN=secure"], &said);
    let said = to(nginx.port(), &there.ca(), "");
    table.row("a plain HTTP server", "SC-NOT-TLS", &[], &said);

    let said = to(there.port(), &other.ca(), "");
    table.row("the wrong CA", "SC-CERT-CA", &["is a SeaCat gateway", "expected"], &said);
    let public = format!("[[gateway]]\nhost = \"localhost\"\nport = {}\n", there.port());
    table.row("no CA is set for a private one", "SC-CERT-CA", &["private CA"], &alone(&public));
    let elsewhere = gateway("elsewhere.test", there.port(), &there.ca(), "address = \"127.0.0.1\"");
    let said = alone(&elsewhere);
    table.row("a certificate for another name", "SC-CERT-NAME", &["elsewhere.test"], &said);
    let pin = format!("pin = \"sha256/{}=\"\n", "A".repeat(43));
    let said = to(there.port(), &there.ca(), &pin);
    table.row("another key than the pinned one", "SC-CERT-PIN", &["sha256/"], &said);

    let old = Gateway::start_speaking(ChannelTls::Reference, free_port(), &[]);
    let said = to(old.port(), &old.ca(), "");
    let words = ["tls = \\\"compat\\\"", "AES_256_CBC"];
    table.row("no TLS suite in common", "SC-TLS-SUITE", &words, &said);
}

#[test]
fn what_day_it_is() {
    let mut table = Table::default();
    let lines = |it: &Gateway| gateway("localhost", it.port(), &it.ca(), "");
    let forgotten = dated(LATER, (2025, 1, 31));
    let said = alone(&lines(&forgotten));
    table.row("the gateway's certificate has expired", "SC-CERT-EXPIRED", &["2025-01-31"], &said);

    let young = dated((2045, 1, 1), (2044, 1, 1));
    table.row(
        "the clock is ten years behind",
        "SC-CLOCK",
        &["in the past"],
        &at("-10y", &lines(&young)),
    );
    table.row(
        "the clock is ahead by decades",
        "SC-CLOCK",
        &["in the future"],
        &at("+30y", &lines(&young)),
    );
    table.row(
        "the clock is right",
        "SC-NOT-RUNNING",
        &["PING answered"],
        &at("+0d", &lines(&young)),
    );
}
