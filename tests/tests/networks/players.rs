//! The processes beside the proxy: in the server's namespace the gateway, an origin and a name server, in
//! the router's a web server that answers in the gateway's place.

use std::fs;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use seacat_tests::{Origin, Process, binary, clean_command, scratch, succeed, wait_for};

use crate::topology::{GATEWAY, ROUTER, ROUTER_ADDRESS, SERVER, Topology};

/// The ports of the router's web server. It redirects all to a page of its own;
pub(crate) const PORTAL: u16 = 8080;
/// it has a certificate of a foreign CA for the gateway's name;
pub(crate) const FOREIGN_CA: u16 = 8443;
/// one of a CA that the proxy trusts, for another name;
pub(crate) const OTHER_NAME: u16 = 8444;
/// one that it has signed itself;
pub(crate) const SELF_SIGNED: u16 = 8445;
/// and the gateway's own, as a load balancer has whose back ends are away.
pub(crate) const BALANCER: u16 = 8446;

/// The name of the gateway.
pub(crate) const HOST: &str = "gw.test";

/// Set for the copy of this program that is a player: its folder.
const FOLDER: &str = "SEACAT_NETWORK_FOLDER";

/// Everything that runs beside the proxy.
pub(crate) struct Players<'a> {
    topology: &'a Topology,
    // Before `folder`: processes end before their folder goes.
    gateway: Process,
    _others: [Process; 2],
    folder: tempfile::TempDir,
}

impl<'a> Players<'a> {
    pub(crate) fn start(topology: &'a Topology) -> Self {
        let folder = scratch();
        let at = folder.path();
        resolve_by(GATEWAY, at);
        move_gateway(at, GATEWAY);
        let mut copy = Command::new(std::env::current_exe().unwrap());
        copy.args(["--exact", "player", "--nocapture"]).env(FOLDER, at).current_dir(at);
        copy.env("PATH", std::env::var("PATH").unwrap_or_default());
        let player = Process::start("player", at, &topology.within(SERVER, &copy));
        let origin = wait_for("the origin's port", Duration::from_secs(20), || {
            fs::read_to_string(at.join("port")).ok()?.parse::<u16>().ok()
        });
        for (name, host) in
            [("gateway", HOST), ("foreign", HOST), ("elsewhere", "login.hotel.test")]
        {
            let dir = at.join(name);
            fs::create_dir(&dir).unwrap();
            let mut init = clean_command(binary("seacat-gateway"), &dir);
            succeed(init.args(["init", ".", "--name", host]));
        }
        let trusted =
            ["gateway", "elsewhere"].map(|it| fs::read(at.join(it).join("ca.pem")).unwrap());
        fs::write(at.join("ca.pem"), trusted.concat()).unwrap();
        let configuration = format!(
            "[gateway]\nlisten = \"0.0.0.0:443\"\ncertificate = \"server.pem\"\n\
             key = \"server.key\"\n\n[host.origin]\nuri = \"http://127.0.0.1:{origin}\"\n"
        );
        fs::write(at.join("gateway/gateway.toml"), configuration).unwrap();
        let gateway = gateway(topology, at);
        let nginx = nginx(topology, at);
        Self { topology, gateway, _others: [player, nginx], folder }
    }

    /// The CAs that the proxy trusts.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The numbers of the POSTs that have reached the origin, in order.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.folder.path().join("numbers")).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("a number")).collect()
    }

    /// The name server says from now on that the gateway is there.
    pub(crate) fn move_gateway(&self, address: &str) {
        move_gateway(self.folder.path(), address);
    }

    pub(crate) fn gateway(&mut self) -> &mut Process {
        &mut self.gateway
    }

    /// Starts the gateway again after its end.
    pub(crate) fn restart_gateway(&mut self) {
        self.gateway = gateway(self.topology, self.folder.path());
    }
}

/// Makes a name server the only one of this namespace: the mounts of `ip netns exec` are its own.
fn resolve_by(server: &str, folder: &Path) {
    let file = folder.join("resolv.conf");
    fs::write(&file, format!("nameserver {server}\noptions timeout:1\n")).unwrap();
    succeed(Command::new("mount").arg("--bind").arg(file).arg("/etc/resolv.conf"));
}

fn move_gateway(folder: &Path, address: &str) {
    fs::write(folder.join("address.part"), address).unwrap();
    fs::rename(folder.join("address.part"), folder.join("address")).unwrap();
}

fn gateway(topology: &Topology, folder: &Path) -> Process {
    let dir = folder.join("gateway");
    let mut command = clean_command(binary("seacat-gateway"), &dir);
    command.args(["run", "--config", "gateway.toml"]);
    let mut process = Process::start("gateway", folder, &topology.within(SERVER, &command));
    listens(&mut process, topology, SERVER, 443);
    process
}

fn nginx(topology: &Topology, folder: &Path) -> Process {
    succeed(clean_command("openssl", folder).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=gw.test",
        "-addext",
        "subjectAltName=DNS:gw.test",
        "-keyout",
        "self.key",
        "-out",
        "self.pem",
    ]));
    let at = folder.display();
    let secure = |port: u16, certificate: &str| {
        format!(
            "server {{ listen {ROUTER_ADDRESS}:{port} ssl; ssl_certificate {at}/{certificate}.pem; \
             ssl_certificate_key {at}/{certificate}.key; location / {{ return 503; }} }}\n"
        )
    };
    let text = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; \
         fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
         server {{ listen {ROUTER_ADDRESS}:{PORTAL}; \
         location / {{ return 302 http://login.hotel.test/; }} }}\n{}{}{}{} }}\n",
        secure(FOREIGN_CA, "foreign/server"),
        secure(OTHER_NAME, "elsewhere/server"),
        secure(SELF_SIGNED, "self"),
        secure(BALANCER, "gateway/server"),
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = clean_command("nginx", folder);
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    let mut process = Process::start("nginx", folder, &topology.within(ROUTER, &command));
    listens(&mut process, topology, ROUTER, BALANCER);
    process
}

/// Waits until something listens on this port of the namespace.
fn listens(process: &mut Process, topology: &Topology, namespace: &str, port: u16) {
    process.wait_until(&format!("a listener on port {port}"), |_| {
        let found = topology.shell(namespace, &format!("ss -Htnl sport = {port}"));
        (!found.is_empty()).then_some(())
    });
}

/// What a copy of this program does in the server's namespace, until it is killed.
pub(crate) fn play() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let names = UdpSocket::bind((GATEWAY, 53)).unwrap();
    let zone = folder.clone();
    thread::spawn(move || answer_names(&names, &zone));
    let origin = Origin::start();
    fs::write(folder.join("port.part"), origin.port().to_string()).unwrap();
    fs::rename(folder.join("port.part"), folder.join("port")).unwrap();
    let numbers = fs::File::options().create(true).append(true).open(folder.join("numbers"));
    let mut numbers = numbers.unwrap();
    loop {
        for seen in origin.take_seen() {
            for number in seen.fields("x-number") {
                writeln!(numbers, "{number}").unwrap();
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Answers every question for an address with the gateway's (RFC 1035 section 4), and others with
/// nothing.
fn answer_names(socket: &UdpSocket, folder: &Path) {
    const A: [u8; 2] = [0, 1];
    let mut question = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut question).unwrap();
        // A head of 12 bytes, then the name's labels, the type and the class; EDNS may follow.
        let name = question[12..length].iter().position(|byte| *byte == 0).unwrap_or(0);
        let end = 12 + name + 1 + 4;
        let wanted = question[end - 4..end - 2] == A;
        let mut answer = question[..end].to_vec();
        // A response with recursion; one question, one answer at most, nothing else.
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(wanted), 0, 0, 0, 0]);
        if wanted {
            // The name of the question, type A, class IN, for no time, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            let address = fs::read_to_string(folder.join("address")).unwrap();
            answer.extend(address.split('.').map(|byte| byte.parse::<u8>().unwrap()));
        }
        socket.send_to(&answer, from).unwrap();
    }
}
