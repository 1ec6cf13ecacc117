//! The table of answers that servers really send, through both of our HTTP/1 clients: the gateway's back
//! ends and the proxy's direct route. Each row has the same result.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use seacat_tests::{Gateway, Host, Proxy};

use self::table::Becomes::{Passes, Refused, Torn};
use self::table::{MENDED, PASSES, REFUSED, Row, Then};

#[path = "../../../crates/seacat-gateway/tests/gateway/answer_rows.rs"]
mod table;

fn rows() -> Vec<&'static Row> {
    [PASSES, MENDED, REFUSED].into_iter().flatten().collect()
}

/// Answers a request for `/N` as row N says. Returns its port.
fn server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> Option<()> {
    let rows = rows();
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let first = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let number: usize = first.split(' ').nth(1)?.rsplit('/').next()?.parse().ok()?;
        let (_, answer, then, _) = rows[number];
        stream.write_all(answer.as_bytes()).ok()?;
        if *then == Then::Closes {
            return None;
        }
    }
}

/// What an application gets: status and phrase, the fields that the server sent, the body. `None`: the
/// answer broke off.
type Got = Option<(u16, String, Vec<String>, String)>;

fn get(proxy: &Proxy, url: &str) -> Got {
    /// Written by the last hop, whatever the server sent.
    const OURS: [&str; 5] = ["via", "date", "connection", "proxy-status", "transfer-encoding"];
    let answer = proxy.client().get(url).ok()?;
    let mut lines = answer.head.lines();
    let phrase = lines.next()?.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    let ours = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        line.is_empty() || OURS.iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    let fields = lines.filter(|line| !ours(line)).map(str::to_owned).collect();
    Some((answer.status, phrase, fields, answer.text()))
}

#[test]
fn an_answer_has_one_result_behind_the_gateway_and_on_a_direct_route() {
    let port = server();
    let gateway = Gateway::start(&[Host { name: "rows", port, tunnel: false }]);
    let route = "\n[[route]]\npattern = \"127.0.0.1\"\nto = \"direct\"\n";
    let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "rows", route);
    let mut wrong = Vec::new();
    for (number, (name, _, _, becomes)) in rows().into_iter().enumerate() {
        let behind = get(&proxy, &format!("http://rows.seacat/{number}"));
        let direct = get(&proxy, &format!("http://127.0.0.1:{port}/{number}"));
        let holds = match (becomes, &behind, &direct) {
            (Passes(head, body), Some(behind), Some(direct)) => {
                let status = behind.0.to_string();
                head.starts_with(&status) && behind.3 == *body && behind == direct
            }
            (Refused(why), Some(behind), Some(direct)) => [behind, direct]
                .into_iter()
                .all(|(status, _, _, body)| *status == 502 && body.contains(why)),
            (Torn, None | Some((502, ..)), None | Some((502, ..))) => true,
            _ => false,
        };
        if !holds {
            wrong.push(format!("{name}:\n  behind {behind:?}\n  direct {direct:?}"));
        }
    }
    println!("{} answers, each with one result in front and behind", rows().len());
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}
