//! Logins that a back end ties to its TCP connection (NTLM, Negotiate): two clients behind one
//! gateway, with and without the extension CONNECTIONS, and no answer for the wrong user.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::path::Path;
use std::thread;

use seacat_tests::{
    Apache, Gateway, Host, Kerberos, Process, Proxy, clean_command, free_port, node_modules,
    program_file, python_with_packages, scratch, succeed,
};

const NTLM: &str = "http://ntlm.seacat";
const KERBEROS: &str = "http://kerberos.seacat/";

/// Two clients of one gateway, each a proxy for its applications.
struct Clients {
    /// Where they listen.
    ports: [u16; 2],
    // Before the gateway: it ends last.
    _clients: (Vec<Proxy>, Vec<Process>),
    _gateway: Gateway,
    home: tempfile::TempDir,
}

impl Clients {
    /// Ours, which name the connections of their applications.
    fn with_extension(host: Host) -> Self {
        let gateway = Gateway::start(&[host]);
        let proxies = [(); 2].map(|()| Proxy::start(gateway.port(), &gateway.ca(), host.name));
        let ports = [proxies[0].port(), proxies[1].port()];
        let clients = (proxies.into(), Vec::new());
        let clients = Self { ports, _clients: clients, _gateway: gateway, home: scratch() };
        // A gateway announces extensions behind a client's first frame: the first answer comes later.
        for port in ports {
            assert_eq!(
                clients.curl(port, &["-o", "first", &format!("http://{}", host.name)]),
                "401\n"
            );
        }
        clients
    }

    /// Others, for which all connections are one.
    fn without_extension(host: Host) -> Self {
        let gateway = Gateway::start(&[host]);
        let home = scratch();
        let ports = [free_port(), free_port()];
        let processes = ports.map(|port| {
            let mut command = clean_command("/usr/bin/python3", home.path());
            command.arg(program_file("plain_proxy.py")).arg(gateway.ca());
            command.args([gateway.port().to_string(), port.to_string()]);
            let mut process = Process::start(&format!("client-{port}"), home.path(), &command);
            process.wait_for_port(port);
            process
        });
        let clients = (Vec::new(), processes.into());
        Self { ports, _clients: clients, _gateway: gateway, home }
    }

    /// curl at one of them; what it prints, the status at the end of each answer.
    fn curl(&self, port: u16, arguments: &[&str]) -> String {
        let mut command = clean_command("curl", self.home.path());
        command.args(["-sS", "-m", "60", "-w", "%{http_code}\n"]);
        command.args(["-x", &format!("http://127.0.0.1:{port}")]);
        succeed(command.args(arguments))
    }

    /// The same as a user of the NTLM server.
    fn curl_ntlm(&self, port: u16, user: &str, path: &str) -> String {
        self.curl(port, &["--ntlm", "-u", &format!("{user}:secret"), &format!("{NTLM}{path}")])
    }

    /// Twenty users, ten thousand requests; every answer is checked.
    fn load(&self, how: &str) {
        let mut command = clean_command(python_with_packages(), self.home.path());
        command.arg(program_file("ntlm_load.py")).args([how, "50"]);
        command.args(self.ports.map(|port| port.to_string()));
        print!("{}", succeed(&mut command));
    }
}

/// express-ntlm, for which every password is right.
fn ntlm_server(home: &Path) -> (Host, Process) {
    let port = free_port();
    let mut command = clean_command("node", home);
    command.arg(program_file("ntlm_server.cjs")).arg(port.to_string());
    command.env("NODE_PATH", node_modules());
    let mut process = Process::start("express-ntlm", home, &command);
    process.wait_for_port(port);
    (Host { name: "ntlm", port, tunnel: false }, process)
}

#[test]
fn ntlm_login_serves_the_connection_that_made_it() {
    let home = scratch();
    let (host, _server) = ntlm_server(home.path());
    let clients = Clients::with_extension(host);
    let [one, two] = clients.ports;
    assert_eq!(clients.curl_ntlm(one, "user1", "/"), "you are user1\n200\n");
    for port in [one, two, one, two] {
        assert_eq!(clients.curl(port, &[NTLM]), "401\n", "a stranger");
    }
    assert_eq!(clients.curl_ntlm(two, "user2", "/"), "you are user2\n200\n");
    // curl makes the next requests on the same connection, and they need no login.
    let thrice = ["--ntlm", "-u", "user3:secret", NTLM, NTLM, NTLM];
    assert_eq!(clients.curl(two, &thrice), "you are user3\n200\n".repeat(3));
    println!("NTLM: curl, three users, four strangers");
}

#[test]
fn ntlm_login_works_with_slow_requests_in_between() {
    let home = scratch();
    let (host, _server) = ntlm_server(home.path());
    let clients = Clients::with_extension(host);
    let user = |port, user| {
        for _ in 0..5 {
            let answer = clients.curl_ntlm(port, user, "/slow/20");
            assert_eq!(answer, format!("you are {user}\n200\n"));
        }
    };
    let stranger = |port| {
        for _ in 0..20 {
            assert_eq!(clients.curl(port, &[&format!("{NTLM}/slow/5")]), "401\n");
        }
    };
    let [one, two] = clients.ports;
    thread::scope(|scope| {
        scope.spawn(|| user(one, "user1"));
        scope.spawn(|| user(one, "user2"));
        scope.spawn(|| user(two, "user3"));
        scope.spawn(|| stranger(one));
        scope.spawn(|| stranger(two));
    });
    println!("NTLM: curl, three users side by side, slow requests of strangers between");
}

#[test]
fn ntlm_login_of_mono() {
    let home = scratch();
    let (host, _server) = ntlm_server(home.path());
    let clients = Clients::with_extension(host);
    let mut compiler = clean_command("mcs", home.path());
    succeed(compiler.arg("-out:client.exe").arg(program_file("NtlmClient.cs")));
    for (port, user) in clients.ports.into_iter().zip(["user1", "user2"]) {
        let mut command = clean_command("mono", home.path());
        command.args(["client.exe", NTLM, user]);
        command.env("http_proxy", format!("http://127.0.0.1:{port}"));
        assert_eq!(succeed(&mut command), format!("you are {user}\n").repeat(3));
        assert_eq!(clients.curl(port, &[NTLM]), "401\n", "a stranger");
    }
    println!("NTLM: Mono, two users, two strangers");
}

#[test]
fn ten_thousand_requests_of_twenty_users() {
    let home = scratch();
    let (host, _server) = ntlm_server(home.path());
    Clients::with_extension(host).load("bound");
}

#[test]
fn ntlm_without_the_extension_may_fail_and_never_mixes_users_up() {
    let home = scratch();
    let (host, _server) = ntlm_server(home.path());
    let clients = Clients::without_extension(host);
    for (port, user) in clients.ports.into_iter().zip(["user1", "user2"]) {
        let answer = clients.curl_ntlm(port, user, "/");
        let own = format!("you are {user}\n200\n");
        assert!(answer == own || !answer.contains("you are"), "{answer}");
        for port in clients.ports {
            assert_eq!(clients.curl(port, &[NTLM]), "401\n", "a stranger");
        }
    }
    clients.load("unbound");
}

#[test]
fn kerberos_login_serves_the_connection_that_made_it() {
    kerberos(Clients::with_extension, |answers, user| {
        assert_eq!(answers, format!("200 {user}@SUITE.TEST\n").repeat(3));
    });
    println!("Kerberos: two users, sixty requests, forty strangers");
}

#[test]
fn kerberos_without_the_extension_never_mixes_users_up() {
    kerberos(Clients::without_extension, |answers, user| {
        let own = format!("200 {user}@SUITE.TEST");
        assert!(answers.lines().all(|answer| answer == own || answer == "401 "), "{answers}");
    });
    println!("Kerberos without the extension: two users, sixty requests, forty strangers");
}

/// Two users at two clients, three requests on a connection, and strangers between; `check` gets
/// what curl prints of three answers: status and user.
fn kerberos(clients: impl Fn(Host) -> Clients, check: impl Fn(&str, &str)) {
    let realm = Kerberos::start("kerberos.seacat", &["anna", "bert"]);
    let apache = Apache::start_with(
        &require_ticket(&realm),
        &[("KRB5_CONFIG", &realm.configuration()), ("KRB5RCACHENAME", Path::new("none:"))],
    );
    fs::write(apache.site().join("index.html"), "for users\n").unwrap();
    let clients = clients(Host { name: "kerberos", port: apache.port(), tunnel: false });
    let tickets = ["anna", "bert"].map(|user| (user, realm.log_in(user)));
    for _ in 0..10 {
        for (port, (user, ticket)) in clients.ports.into_iter().zip(&tickets) {
            let mut command = clean_command("curl", clients.home.path());
            command.args(["-sS", "-m", "60", "--negotiate", "-u", ":"]);
            command.args(["-x", &format!("http://127.0.0.1:{port}")]);
            command.args(["-w", "%{http_code} %header{x-user}\n"]);
            command.args(["-o", "1", "-o", "2", "-o", "3", KERBEROS, KERBEROS, KERBEROS]);
            command.env("KRB5_CONFIG", realm.configuration()).env("KRB5CCNAME", ticket);
            check(&succeed(&mut command), user);
            for port in clients.ports {
                assert_eq!(clients.curl(port, &["-o", "4", KERBEROS]), "401\n", "a stranger");
            }
        }
    }
}

/// Everything needs a ticket, and a login is the connection's.
fn require_ticket(realm: &Kerberos) -> String {
    format!(
        r#"
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule auth_gssapi_module /usr/lib/apache2/modules/mod_auth_gssapi.so
<Location />
    AuthType GSSAPI
    AuthName suite
    GssapiConnectionBound On
    GssapiCredStore keytab:{}
    Require valid-user
    Header set X-User "expr=%{{REMOTE_USER}}"
</Location>
"#,
        realm.keytab().display()
    )
}
