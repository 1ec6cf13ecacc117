//! From exec to the first proxied 200.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Numbers, Run};
use crate::Outcome;
use crate::http::Target;
use crate::measures::Metric;
use crate::peer::ProxyChain;

/// How often a port without a listener is tried.
const LOOK: Duration = Duration::from_micros(200);
/// How long a near end may take.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    for round in 0..run.rounds {
        for peer in run.proxies(round) {
            let measured = measure(run, peer);
            run.keep(round, "first 200", peer, measured);
        }
    }
    Ok(())
}

fn measure(run: &Run<'_>, peer: crate::peer::Peer) -> Outcome<Numbers> {
    let mut chain = ProxyChain::far_end(peer, run.place)?;
    // Once for the caches: a program's file, a far end's first connection.
    first_answer(&mut chain, run)?;
    chain.stop_near();
    let time = first_answer(&mut chain, run)?;
    Ok(vec![(Metric::StartMs, Some(time.as_secs_f64() * 1e3))])
}

/// The time includes that of `setpriv`, about a millisecond, for all peers.
fn first_answer(chain: &mut ProxyChain, run: &Run<'_>) -> Outcome<Duration> {
    let began = Instant::now();
    chain.start_near(run.place);
    let target = chain.target();
    let request = target.request("GET", "/k", false, None);
    while !answers(target, &request) {
        if began.elapsed() > LIMIT {
            return Err(format!("no answer within {LIMIT:?}"));
        }
        sleep(LOOK);
    }
    Ok(began.elapsed())
}

/// Whether the response is the origin's.
fn answers(target: &Target, request: &[u8]) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(target.address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request)?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        std::io::Result::Ok(&start[8..] == b" 200")
    };
    // Refused, reset, a 503: not yet.
    ask().unwrap_or(false)
}
