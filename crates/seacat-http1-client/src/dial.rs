//! From a host's name to a TCP connection: every address, each with a short head start over the
//! next (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The head start of an address before the next is tried (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to a host by its name or IP address, without brackets.
///
/// # Errors
/// The name has no address, or the last of the addresses that failed.
pub async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    connect(lookup_host((host, port)).await?).await
}

/// Connects to the first address that answers.
///
/// # Errors
/// The last failure; [`io::ErrorKind::NotFound`] when there is no address.
pub async fn connect(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut queue = interleave(addresses);
    let mut attempts = JoinSet::new(); // the others stop with us
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    if queue.len() == 1 {
        return attempt(queue[0]).await;
    }
    loop {
        if let Some(address) = queue.pop_front() {
            attempts.spawn(attempt(address));
        }
        tokio::select! {
            biased;
            outcome = attempts.join_next() => match outcome {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                Some(Ok(Err(error))) => last = error,
                // A task that was cancelled: the runtime ends.
                Some(Err(error)) => last = io::Error::other(error),
                None => return Err(last),
            },
            () = sleep(STAGGER), if !queue.is_empty() => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    // Heads and bodies are written when they are complete: to wait for more only costs time.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// The resolver's order, with the families taking turns, beginning with its first choice (RFC
/// 8305 section 4). Each address once.
fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    let mut seen = Vec::with_capacity(addresses.len());
    addresses.retain(|it| {
        !seen.contains(it) && {
            seen.push(*it);
            true
        }
    });
    let first_family = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|it| it.is_ipv6() == first_family);
    let turns = first.len().max(other.len());
    (0..turns).flat_map(|i| [first.get(i), other.get(i)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_each_address_comes_once() {
        let found = addresses(&["[::1]:1", "[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let order: Vec<_> = interleave(found).into();
        assert_eq!(order, addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"]));
        assert!(interleave([]).is_empty());
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        // Port 1 of loopback refuses.
        let refused = "127.0.0.1:1".parse().unwrap();
        let tcp = connect([refused, "127.0.0.2:1".parse().unwrap(), there]).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), there);
        let error = connect([refused, "127.0.0.2:1".parse().unwrap()]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect([]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
