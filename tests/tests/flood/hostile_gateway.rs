//! The other way round: a gateway that floods the proxy, whose applications do not read.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use seacat_proto::frame::{Frame, SynReply, head};
use seacat_proto::{Decoder, ReplyHead, StreamId};
use seacat_tests::{Client, Gateway, Proxy, wait_for};

use super::{Row, SLOWEST, duration, open_files};

/// The account of a proxy (docs/limits.md), and what it needs without any peer, in a debug build.
const MEMORY_MIB: u64 = 128 + 64;
/// Applications that ask and do not read.
const APPLICATIONS: usize = 4;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// With the certificate of a real gateway.
fn tls(folder: &Path) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

/// Answers the client's PINGs and requests until there are as many of them as applications.
fn greet(stream: &mut Tls) -> io::Result<Vec<StreamId>> {
    let (mut decoder, mut ids) = (Decoder::default(), Vec::new());
    let mut buffer = vec![0; 16 * 1024];
    while ids.len() < APPLICATIONS {
        let length = stream.read(&mut buffer)?;
        let mut rest = &buffer[..length];
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(raw) = decoder.next(&mut rest).map_err(io::Error::other)? {
            match Frame::decode(raw).map_err(io::Error::other)? {
                Frame::Ping(ping) => stream.write_all(&ping.encode())?,
                Frame::SynStream(request) => {
                    let reply = SynReply { id: request.id, fin: false, head: ReplyHead::new(200) };
                    stream.write_all(&reply.encode())?;
                    ids.push(request.id);
                }
                _ => {}
            }
        }
        stream.flush()?;
    }
    Ok(ids)
}

/// One byte a frame, on all of its streams, until the proxy has had enough or it is over.
fn flood(mut stream: Tls, end: Instant) -> io::Result<u64> {
    let ids = greet(&mut stream)?;
    let mut batch = Vec::new();
    while batch.len() < 64 * 1024 {
        for id in &ids {
            batch.extend_from_slice(&head::data(*id, false, 1));
            batch.push(b'z');
        }
    }
    stream.sock.set_write_timeout(Some(Duration::from_secs(1)))?;
    let mut sent = 0;
    while Instant::now() < end {
        stream.write_all(&batch)?;
        sent += batch.len() as u64;
    }
    Ok(sent)
}

#[test]
fn a_gateway_that_floods_is_held_to_the_account() {
    let gateway = Gateway::start(&[]);
    let tls = tls(gateway.folder());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let end = Instant::now() + duration() + Duration::from_secs(2);
    let flooding = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(tls).unwrap();
        flood(StreamOwned::new(connection, tcp), end)
    });
    let mut proxy = Proxy::start(port, &gateway.ca(), "hello");
    let mut applications: Vec<Client> = (0..APPLICATIONS).map(|_| proxy.client()).collect();
    for application in &mut applications {
        application.send(b"GET http://hello.seacat/ HTTP/1.1\r\nHost: hello\r\n\r\n").unwrap();
    }
    let page = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (mut times, mut failed, mut spool, mut descriptors) = (Vec::new(), 0, 0, 0);
    while Instant::now() < end {
        let began = Instant::now();
        match proxy.client().ask(page) {
            Ok(answer) if answer.status == 200 => times.push(began.elapsed()),
            _ => failed += 1,
        }
        let (files, bytes) = open_files(proxy.process().id());
        (spool, descriptors) = (bytes.max(spool), files.max(descriptors));
        thread::sleep(Duration::from_millis(5));
    }
    let sent = flooding.join().unwrap();
    drop(applications);
    times.sort_unstable();
    let memory_mib = proxy.process().peak_memory_kib() / 1024;
    let newcomer = Duration::ZERO;
    let row = Row { memory_mib, spool_mib: spool >> 20, descriptors, times, failed, newcomer };
    row.print(&format!("proxy: one-byte DATA of a gateway ({sent:?} bytes), not read"));
    assert!(memory_mib <= MEMORY_MIB, "{memory_mib} MiB of memory");
    assert_eq!(row.failed, 0, "the proxy's own page");
    assert!(row.at(1.0) < SLOWEST, "its own page took {:?}", row.at(1.0));
    // What it kept is given back with the connection.
    wait_for("the temporary files to be gone", Duration::from_secs(20), || {
        (open_files(proxy.process().id()).1 == 0).then_some(())
    });
}
