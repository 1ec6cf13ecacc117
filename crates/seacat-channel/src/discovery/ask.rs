//! The questions themselves: SRV, then A and AAAA of each target. What was truncated is asked again
//! over TCP by the resolver library.
//!
//! The resolver lives for one discovery, so that the system's name servers are those of the
//! network we are in now. Addresses in the additional section are not used: they are optional, and
//! another question costs one round trip once in a TTL.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use rustls::pki_types::DnsName;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::discovery::Target;
use crate::failure::Failure;

/// All questions of one discovery together get this long (wire specification, section 1.3).
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// One question gets this long before it is asked again: three times in all within the limit.
const TRY_LIMIT: Duration = Duration::from_secs(3);

/// More targets than anybody has; the reference client keeps 8.
pub(super) const TARGETS_MAX: usize = 16;

/// More aliases one after the other than anybody has a reason for.
const ALIASES_MAX: usize = 8;

/// More addresses of one target than could be tried in the time of a dial.
const ADDRESSES_MAX: usize = 16;

/// The targets announced under `question` and for how long that counts. Without `servers` the
/// system's are asked; public ones never, unless they are given.
pub(super) async fn ask(
    question: &str,
    servers: &[SocketAddr],
) -> Result<(Vec<Target>, Duration), Failure> {
    let late = || Failure::Unresolvable {
        host: question.to_owned(),
        detail: format!("no name server has answered within {} s", ASK_LIMIT.as_secs()),
    };
    match timeout(ASK_LIMIT, ask_all(question, servers)).await {
        Ok(answer) => answer,
        Err(_) => Err(late()),
    }
}

async fn ask_all(
    question: &str,
    servers: &[SocketAddr],
) -> Result<(Vec<Target>, Duration), Failure> {
    let explain = |error: &NetError| explain(question, error);
    let resolver = resolver(servers).map_err(|error| explain(&error))?;
    let (lookup, mut ttl) =
        announced(&resolver, question).await.map_err(|error| explain(&error))?;
    let mut lookups = JoinSet::new();
    for target in targets(lookup.answers()) {
        let resolver = resolver.clone();
        lookups.spawn(async move {
            let found = resolver.lookup_ip(absolute(&target.host)).await;
            (target, found)
        });
    }
    if lookups.is_empty() {
        return Err(Failure::NoService { name: question.to_owned() });
    }
    let (mut targets, mut failure) = (Vec::new(), None);
    while let Some(Ok((mut target, found))) = lookups.join_next().await {
        match found {
            Ok(found) => {
                ttl = ttl.min(shortest(found.as_lookup().answers()));
                target.addresses = found.iter().take(ADDRESSES_MAX).collect();
                targets.push(target);
            }
            Err(error) => {
                tracing::debug!(target.host, %error, "a target has no address");
                // "Could not be asked" counts more: the last good answer is used then.
                if !matches!(failure, Some(Failure::Unresolvable { .. })) {
                    failure = Some(no_address(&target.host, &error));
                }
            }
        }
    }
    // They came in the order of the answers.
    targets.sort_by(|a, b| (a.priority, &a.host, a.port).cmp(&(b.priority, &b.host, b.port)));
    match failure {
        Some(failure) if targets.is_empty() => Err(failure),
        _ => Ok((targets, ttl)),
    }
}

/// The SRV records of a name or of what it is an alias for, and how long they count. Aliases are
/// followed here, because the resolver takes an SRV record behind a CNAME for one more step of
/// the chain, goes on to ask its target for SRV records, and loses the answer it had.
async fn announced(
    resolver: &TokioResolver,
    question: &str,
) -> Result<(Lookup, Duration), NetError> {
    let (mut name, mut ttl) = (absolute(question), Duration::MAX);
    for _ in 0..ALIASES_MAX {
        let asked = resolver.srv_lookup(name.as_str()).await;
        let Err(error) = &asked else {
            return asked.map(|lookup| {
                let shortest = shortest(lookup.answers());
                (lookup, ttl.min(shortest))
            });
        };
        let alias = match says_no(error) {
            true => resolver.lookup(name.as_str(), RecordType::CNAME).await.ok(),
            false => None,
        };
        let answers = alias.as_ref().map_or(&[][..], Lookup::answers);
        let Some(next) = answers.iter().find_map(alias_of) else {
            return asked.map(|lookup| (lookup, ttl));
        };
        (name, ttl) = (next, ttl.min(shortest(answers)));
    }
    Err(NetError::from("a chain of aliases without an end"))
}

fn alias_of(record: &Record) -> Option<String> {
    match &record.data {
        RData::CNAME(to) => Some(to.0.to_ascii()),
        _ => None,
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = options.timeout.min(TRY_LIMIT);
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// A name that no search list is appended to.
fn absolute(name: &str) -> String {
    format!("{name}.")
}

/// What can be dialled among the records. The root as a target says that there is no such service
/// (RFC 2782).
fn targets(records: &[Record]) -> Vec<Target> {
    let mut targets: Vec<Target> = records.iter().filter_map(target).collect();
    targets.sort_by_key(|target| target.priority);
    targets.truncate(TARGETS_MAX);
    targets
}

fn target(record: &Record) -> Option<Target> {
    let RData::SRV(srv) = &record.data else {
        return None;
    };
    let host = srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let usable = DnsName::try_from(host.as_str()).is_ok() && srv.port != 0;
    usable.then(|| Target {
        host,
        port: srv.port,
        priority: srv.priority,
        weight: srv.weight,
        addresses: Vec::new(),
    })
}

/// CNAMEs on the way count as well.
fn shortest(records: &[Record]) -> Duration {
    let ttl = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(u64::from(ttl.unwrap_or(0)))
}

fn explain(question: &str, error: &NetError) -> Failure {
    if says_no(error) {
        return Failure::NoService { name: question.to_owned() };
    }
    Failure::Unresolvable { host: question.to_owned(), detail: error.to_string() }
}

fn no_address(host: &str, error: &NetError) -> Failure {
    let host = host.to_owned();
    if says_no(error) {
        return Failure::NoSuchHost { host };
    }
    Failure::Unresolvable { host, detail: error.to_string() }
}

/// Whether this is an answer, and not the lack of one.
fn says_no(error: &NetError) -> bool {
    let NetError::Dns(DnsError::NoRecordsFound(none)) = error else {
        return false;
    };
    matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
}
