//! Between here and the gateway: name, route, port, the proxy of the network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use seacat_tests::{Gateway, Origin, Proxy, SQUID_USER, Squid, binary, free_port};

use crate::table::{Said, Table, alone, apart, gateway, home};

/// A name server for `hosts.test` alone, as the only one of the network.
const NAME_SERVER: &str = r#"
cat > knot.conf <<END
server:
  rundir: $PWD
  listen: 127.0.0.1@53
database:
  storage: $PWD
zone:
  - domain: hosts.test
    storage: $PWD
    file: zone
END
printf '$ORIGIN hosts.test.\n$TTL 60\n@ SOA ns admin 1 60 60 600 60\n@ NS ns\nns A 127.0.0.1\n' > zone
mkdir -p etc; echo nameserver 127.0.0.1 > etc/resolv.conf
mount --bind etc/resolv.conf /etc/resolv.conf
knotd -c knot.conf >knot.log 2>&1 &
until grep -q 'zone file loaded\|serial none' knot.log; do kill -0 $!; sleep 0.05; done
"#;

/// The name server of a network whose name server has died.
const SILENT_NAME_SERVER: &str = r#"
mkdir -p etc; printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > etc/resolv.conf
mount --bind etc/resolv.conf /etc/resolv.conf
/usr/bin/python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); time.sleep(600)" &
until grep -q ':0035 ' /proc/net/udp; do kill -0 $!; sleep 0.05; done
"#;

/// Ports that swallow packets: their queue of one connection is full, so that no SYN is answered.
fn swallow(ports: &[u16]) -> String {
    format!(
        r#"
/usr/bin/python3 -c "
import socket, time
keep = []
for port in {ports:?}:
    s = socket.socket(); s.bind(('127.0.0.1', port)); s.listen(0); keep.append(s)
    for i in range(4):
        c = socket.socket(); c.setblocking(False); c.connect_ex(('127.0.0.1', port)); keep.append(c)
open('swallowing', 'w').close(); time.sleep(600)" &
until [ -e swallowing ]; do kill -0 $!; sleep 0.05; done
"#
    )
}

#[test]
fn names_routes_and_ports() {
    let mut table = Table::default();
    let there = Gateway::start(&[]);
    let (ca, nowhere) = (there.ca(), free_port());
    let to = |host: &str, port| home(&gateway(host, port, &ca, ""));

    let far = to("192.0.2.7", 443);
    table.row("no network", "SC-NO-NETWORK", &[], &apart(far.path(), "", &[]));
    let route = "ip link add v0 type veth peer name v1; ip addr add 10.9.0.2/24 dev v0; ip link set v0 up; \
                 ip link set v1 up; ip route add default dev v0; ip route add unreachable 198.51.100.0/24";
    let far = to("198.51.100.7", 443);
    table.row("no route to the gateway", "SC-UNREACHABLE", &[], &apart(far.path(), route, &[]));

    let unknown = to("nobody.hosts.test", 443);
    let said = apart(unknown.path(), NAME_SERVER, &[]);
    table.row("DNS knows no such name", "SC-NO-SUCH-HOST", &["nobody.hosts.test"], &said);
    let said = apart(unknown.path(), SILENT_NAME_SERVER, &[]);
    table.row("the resolver is silent", "SC-DNS", &["nobody.hosts.test"], &said);

    let said = alone(&gateway("localhost", nowhere, &ca, ""));
    table.row("TCP refused", "SC-TCP-REFUSED", &[&nowhere.to_string()], &said);

    let filtered = to("127.0.0.1", 9443);
    let all = [443, 80, 8080, 8443, 9443];
    let said = apart(filtered.path(), &swallow(&all), &[]);
    table.row("TCP filtered, on every port", "SC-TCP-FILTERED", &["nor to other ports"], &said);
    table.row(
        "TCP filtered, but for port 443",
        "SC-TCP-FILTERED",
        &["SeaCat gateway answers there", "\"open\":\"443\""],
        &with_443(&there, filtered.path()),
    );
}

/// The same gateway, inside and on port 443.
fn with_443(gateway: &Gateway, home: &Path) -> Said {
    let folder = gateway.folder();
    let text = fs::read_to_string(folder.join("gateway.toml")).unwrap();
    let text = text.replace(&format!("127.0.0.1:{}", gateway.port()), "127.0.0.1:443");
    fs::write(folder.join("inside.toml"), text).unwrap();
    let start = format!(
        "{}\n(cd {} && exec {} run --config inside.toml >inside.log 2>&1) &\n\
         until grep -q ':01BB 00000000:0000 0A' /proc/net/tcp; do kill -0 $!; sleep 0.05; done\n",
        swallow(&[80, 9443]),
        folder.display(),
        binary("seacat-gateway").display()
    );
    fs::remove_file(home.join("swallowing")).ok();
    apart(home, &start, &[])
}

#[test]
fn the_proxy_of_the_network() {
    let mut table = Table::default();
    let _origin = Origin::start();
    let there = Gateway::start(&[]);
    let squid = Squid::start();
    let good = gateway("localhost", there.port(), &there.ca(), "");
    let through = |port: u16, more: &str| {
        format!("[upstream]\nproxy = \"http://127.0.0.1:{port}\"\n{more}\n{good}")
    };
    let nowhere = free_port();
    let said = alone(&through(nowhere, ""));
    table.row(
        "the corporate proxy is away",
        "SC-PROXY-UNREACHABLE",
        &[&nowhere.to_string()],
        &said,
    );
    let said = alone(&through(squid.port(), ""));
    table.row("the corporate proxy wants a password", "SC-PROXY-AUTH", &["Basic"], &said);
    let file = |line: &str| {
        let home = home("");
        let path = home.path().join("credentials");
        fs::write(&path, line).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = format!("credentials_file = \"{}\"\n", path.display());
        let text = format!("proxy.port = 0\n{}", through(squid.port(), &credentials));
        fs::write(home.path().join("config.toml"), text).unwrap();
        crate::table::diagnose(home.path())
    };
    table.row(
        "the corporate proxy's password is wrong",
        "SC-PROXY-PASSWORD",
        &[],
        &file("ann:wrong"),
    );
    let words = ["lets us through", "PING answered"];
    table.row("well, through the corporate proxy", "SC-NOT-RUNNING", &words, &file(SQUID_USER));

    // Such a network does not resolve external names; its proxy is in the environment.
    let home = home(&gateway("gateway.invalid", 443, &there.ca(), ""));
    let mut command = Proxy::command(home.path());
    command.env("https_proxy", format!("http://127.0.0.1:{}", squid.port()));
    let said = Said::by(command.args(["--config", "config.toml", "diagnose", "--json"]));
    let words = ["https_proxy", "upstream.proxy environment"];
    table.row("a corporate proxy is needed", "SC-PROXY-NEEDED", &words, &said);
}
