//! Linux: rtnetlink for the network, a timer on the wall clock for sleep and steps of the clock, SIGCONT
//! for a process that was stopped.
//!
//! logind's PrepareForSleep is not needed: the kernel cancels a timer with `TFD_TIMER_CANCEL_ON_SET`
//! when the machine resumes (`timerfd_resume`), with or without a session bus, as it does when the clock
//! is set.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, socket_with};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// A change of network is a burst of events: address, route, DNS. The first is reported at once, so that
/// nothing is sent on a connection that has lost its address; the rest together after this time. A
/// machine whose containers come and go causes no more than two reports in it.
const SETTLE: Duration = Duration::from_millis(200);

/// SIGCONT has this number on all of Linux but MIPS and PA-RISC, where nothing is lost without it.
const SIGCONT: i32 = 18;

pub(super) async fn listen(changes: watch::Sender<()>) {
    let mut sources = Sources::open();
    loop {
        tokio::select! {
            () = sources.next() => {}
            () = changes.closed() => return,
        }
        if changes.send(()).is_err() {
            return;
        }
        sleep(SETTLE).await;
        if sources.drain() && changes.send(()).is_err() {
            return;
        }
    }
}

/// What the kernel offers; one that cannot be had is left out.
struct Sources {
    network: Option<Network>,
    clock: Option<AsyncFd<OwnedFd>>,
    resumed: Option<Signal>,
}

impl Sources {
    fn open() -> Self {
        Self {
            network: or_none("network changes", Network::open()),
            clock: or_none("sleep and clock changes", clock()),
            resumed: or_none("SIGCONT", signal(SignalKind::from_raw(SIGCONT))),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            () = network_change(self.network.as_mut()) => {}
            () = clock_change(self.clock.as_ref()) => {}
            () = resume(self.resumed.as_mut()) => {}
        }
    }

    /// Takes the rest of a burst; whether it holds changes of the network.
    fn drain(&mut self) -> bool {
        let Some(network) = &mut self.network else {
            return false;
        };
        let mut changed = false;
        loop {
            match network.receive() {
                Ok(matters) => changed |= matters,
                Err(Errno::AGAIN) => return changed,
                // More events than the kernel keeps: there was a change among them.
                Err(_) => changed = true,
            }
        }
    }
}

fn or_none<T>(what: &str, source: io::Result<T>) -> Option<T> {
    source.inspect_err(|error| tracing::info!(%error, "{what} are not reported")).ok()
}

async fn network_change(network: Option<&mut Network>) {
    if let Some(network) = network {
        // It fails only when the runtime ends.
        if let Ok(()) = network.changed().await {
            return;
        }
    }
    std::future::pending::<()>().await;
}

async fn resume(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Waits for a descriptor in the runtime.
#[expect(deprecated, reason = "its successor is unsafe, for what an OwnedFd guarantees")]
pub(crate) fn readiness(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

/// A timer that never fires and is cancelled when the clock is set or the machine resumes
/// (timerfd_create(2)).
fn clock() -> io::Result<AsyncFd<OwnedFd>> {
    /// The year 2200.
    const NEVER: i64 = 7_258_118_400;
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    let time = |tv_sec| Timespec { tv_sec, tv_nsec: 0 };
    let value = Itimerspec { it_interval: time(0), it_value: time(NEVER) };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &value)?;
    readiness(timer)
}

async fn clock_change(clock: Option<&AsyncFd<OwnedFd>>) {
    let Some(clock) = clock else {
        return std::future::pending().await;
    };
    loop {
        let Ok(mut ready) = clock.readable().await else {
            return std::future::pending().await;
        };
        let mut expired = [0; 8];
        match rustix::io::read(clock, &mut expired) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            // Cancelled; the next read waits for the next time.
            _ => return,
        }
    }
}

/// Events of addresses, routes and links (rtnetlink(7)).
struct Network {
    socket: AsyncFd<OwnedFd>,
    /// Whether each link was running when it was last mentioned.
    running: HashMap<u32, bool>,
}

impl Network {
    fn open() -> io::Result<Self> {
        /// `RTMGRP_LINK`, and `IFADDR` and `ROUTE` of both families (linux/rtnetlink.h).
        const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            // Protocol 0, which is NETLINK_ROUTE.
            None,
        )?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket: readiness(socket)?, running: HashMap::new() })
    }

    async fn changed(&mut self) -> io::Result<()> {
        loop {
            let received = loop {
                let mut ready = self.socket.readable().await?;
                match receive(&self.socket) {
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    received => break received,
                }
            };
            // More events than the kernel keeps: there was a change among them.
            if received.map_or(true, |bytes| self.matters(&bytes)) {
                return Ok(());
            }
        }
    }

    /// Takes what there is; whether it matters.
    fn receive(&mut self) -> Result<bool, Errno> {
        let bytes = receive(&self.socket)?;
        Ok(self.matters(&bytes))
    }

    /// Whether one of these messages may change how the gateway is reached.
    fn matters(&mut self, mut messages: &[u8]) -> bool {
        let mut matters = false;
        while let Some(message) = Message::first(messages) {
            matters |= match message.kind {
                Message::NEW_LINK => {
                    let running = message.word(8).is_some_and(|flags| flags & IFF_RUNNING != 0);
                    let index = message.word(4).unwrap_or_default();
                    self.running.insert(index, running).is_some_and(|before| before != running)
                }
                Message::DEL_LINK => {
                    self.running.remove(&message.word(4).unwrap_or_default());
                    true
                }
                Message::NEW_ADDR | Message::DEL_ADDR => true,
                Message::NEW_ROUTE | Message::DEL_ROUTE => {
                    message.body.get(7) == Some(&RTN_UNICAST)
                }
                _ => false,
            };
            messages = message.rest;
        }
        matters
    }
}

fn receive(socket: &AsyncFd<OwnedFd>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 16 * 1024];
    let (_, length) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
    buffer.truncate(length);
    Ok(buffer)
}

/// `IFF_RUNNING`: the link has a carrier (netdevice(7)). Wireless scans report links that have not
/// changed.
const IFF_RUNNING: u32 = 0x40;
/// `RTN_UNICAST`: a route that leads somewhere. The others follow from addresses.
const RTN_UNICAST: u8 = 1;

/// One message of netlink(7), in the machine's byte order.
struct Message<'a> {
    kind: u16,
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    const HEADER: usize = 16;
    const NEW_LINK: u16 = 16;
    const DEL_LINK: u16 = 17;
    const NEW_ADDR: u16 = 20;
    const DEL_ADDR: u16 = 21;
    const NEW_ROUTE: u16 = 24;
    const DEL_ROUTE: u16 = 25;

    fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        let body = bytes.get(Self::HEADER..length)?;
        // Aligned to four bytes; the last one may end without.
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Self { kind, body, rest })
    }

    /// Four bytes of the body.
    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.body.get(at..)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = (Message::HEADER + body.len()) as u32;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.resize(Message::HEADER, 0);
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn link(index: u32, flags: u32) -> Vec<u8> {
        let body = [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), [0; 4]].concat();
        message(Message::NEW_LINK, &body)
    }

    #[tokio::test]
    async fn what_matters() {
        let mut network = Network::open().unwrap();
        let route = |kind| message(Message::NEW_ROUTE, &[0, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0]);
        let cases = [
            ("an address", message(Message::NEW_ADDR, &[0; 8]), true),
            ("no address", message(Message::DEL_ADDR, &[0; 8]), true),
            ("a route", route(RTN_UNICAST), true),
            ("a local route", route(2), false),
            ("a link is first mentioned", link(2, IFF_RUNNING), false),
            ("it is scanned", link(2, IFF_RUNNING), false),
            ("its carrier is lost", link(2, 0), true),
            (
                "and found, behind another message",
                [link(3, 0), link(2, IFF_RUNNING)].concat(),
                true,
            ),
            ("it is gone", message(Message::DEL_LINK, &[0; 16]), true),
            ("something else", message(28, &[0; 12]), false),
            ("a cut message", message(Message::NEW_ADDR, &[0; 8])[..20].to_vec(), false),
            ("nothing", Vec::new(), false),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(network.matters(&bytes), expected, "{name}");
        }
    }

    /// The timer is quiet while the clock goes on as ever.
    #[tokio::test]
    async fn the_clock_is_quiet() {
        let clock = clock().unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(50), clock_change(Some(&clock)));
        assert!(quiet.await.is_err());
    }
}
