//! A client and a gateway joined by a wire without a socket.

use std::time::Instant;

use seacat_proto::{Config, Connection, Event, Extensions, Role};

/// Both ends and one clock.
pub(crate) struct Pair {
    pub(crate) client: Connection,
    pub(crate) gateway: Connection,
    pub(crate) now: Instant,
}

/// The events of each end.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) client: Vec<Event>,
    pub(crate) gateway: Vec<Event>,
}

impl Pair {
    /// Both ends know these extensions.
    pub(crate) fn new(extensions: Extensions) -> Self {
        let now = Instant::now();
        let config = Config { extensions, ..Config::default() };
        Self {
            client: Connection::new(Role::Client, &config, now),
            gateway: Connection::new(Role::Gateway, &config, now),
            now,
        }
    }

    /// Carries bytes both ways until nothing moves; readers take all that comes.
    pub(crate) fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        loop {
            let up = deliver(&mut self.client, &mut self.gateway, self.now, &mut seen.gateway);
            let down = deliver(&mut self.gateway, &mut self.client, self.now, &mut seen.client);
            if up + down == 0 {
                return seen;
            }
        }
    }
}

fn deliver(
    from: &mut Connection,
    to: &mut Connection,
    now: Instant,
    seen: &mut Vec<Event>,
) -> usize {
    let mut frames = 0;
    while let Some(frame) = from.poll_transmit() {
        to.handle_input(&frame.to_vec(), now).unwrap();
        while let Some(event) = to.poll_event() {
            if let Event::Data { id, bytes, .. } = &event {
                to.taken(*id, bytes.len());
            }
            seen.push(event);
        }
        frames += 1;
    }
    frames
}
