//! A model of a connection: for each stream, which half is still open.

use std::collections::{HashMap, HashSet};

use seacat_proto::frame::Frame;
use seacat_proto::{Decoder, Event, MAX_FRAME, Role, SocketsCode, StreamId, Transmit};

/// One direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// The head of the response is missing; no body is permitted.
    Head,
    /// The body follows.
    Body,
    /// The end is queued behind the body, but not on the wire yet.
    Ending,
    /// Nothing may follow.
    Ended,
}

/// One stream from the program's point of view.
#[derive(Clone, Copy, Debug)]
struct Lane {
    ours: Half,
    theirs: Half,
}

/// All open streams, and the bytes queued for the wire.
#[derive(Debug)]
pub struct Model {
    role: Role,
    lanes: HashMap<StreamId, Lane>,
    /// Body bytes queued and not yet seen on the wire.
    unsent: usize,
    /// Reverse sockets given up by this gateway: an empty end may still go out for each, which is how
    /// the reference client frees their ports (wire spec 3.11).
    freed: HashSet<StreamId>,
}

impl Model {
    /// A model of a fresh connection.
    pub fn new(role: Role) -> Self {
        Self { role, lanes: HashMap::new(), unsent: 0, freed: HashSet::new() }
    }

    /// The `nth` stream that is alive, in the order of ids.
    pub fn pick(&self, nth: u8) -> Option<StreamId> {
        let mut ids: Vec<StreamId> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        ids.get(usize::from(nth) % ids.len().max(1)).copied()
    }

    /// All streams that are alive.
    pub fn alive(&self) -> impl Iterator<Item = StreamId> {
        self.lanes.keys().copied()
    }

    // --- calls, each with whether the connection granted it -------------------------------

    /// We opened a stream.
    pub fn opened(&mut self, id: StreamId, end: bool) {
        let ours = if end { Half::Ended } else { Half::Body };
        let before = self.lanes.insert(id, Lane { ours, theirs: Half::Head });
        assert!(before.is_none(), "{id} was open already");
    }

    /// We answered a stream; `end`: there is no body, and FIN is on the head or on an empty frame
    /// behind it (`tail`).
    pub fn replied(&mut self, id: StreamId, end: bool, tail: bool, granted: bool) {
        let lane = self.lane(id);
        assert_eq!(granted, id.is_odd() && lane.ours == Half::Head, "reply on {id}: {lane:?}");
        if granted {
            lane.ours = match (end, tail) {
                (false, _) => Half::Body,
                (true, true) => Half::Ending,
                (true, false) => Half::Ended,
            };
            self.remove_if_ended(id);
        }
    }

    /// We asked for a reverse socket.
    pub fn asked(&mut self, id: StreamId) {
        let before = self.lanes.insert(id, Lane { ours: Half::Head, theirs: Half::Head });
        assert!(before.is_none() && !id.is_odd(), "{id} was open already");
    }

    /// We granted a reverse socket.
    pub fn accepted(&mut self, id: StreamId, granted: bool) {
        let lane = self.lane(id);
        assert_eq!(granted, !id.is_odd() && lane.ours == Half::Head, "grant on {id}: {lane:?}");
        if granted {
            lane.ours = Half::Body;
        }
    }

    /// We queued `length` bytes.
    pub fn sent(&mut self, id: StreamId, length: usize, granted: bool) {
        let lane = self.lane(id);
        assert_eq!(granted, lane.ours == Half::Body, "send on {id}: {lane:?}");
        if granted {
            self.unsent += length;
        }
    }

    /// We ended our half.
    pub fn finished(&mut self, id: StreamId, granted: bool) {
        let lane = self.lane(id);
        assert_eq!(granted, lane.ours == Half::Body, "finish on {id}: {lane:?}");
        if granted {
            lane.ours = Half::Ending;
        }
    }

    /// We reset a stream.
    pub fn gave_up(&mut self, id: StreamId) {
        let lane = self.lanes.remove(&id);
        if self.role == Role::Gateway
            && !id.is_odd()
            && lane.is_some_and(|it| it.ours != Half::Ended)
        {
            self.freed.insert(id);
        }
    }

    // --- events: each must be allowed --------------------------------------------------------

    /// Checks an event.
    ///
    /// # Panics
    /// When it belongs to a stream that has ended, or is not possible in the stream's state.
    pub fn received(&mut self, event: &Event) {
        match *event {
            Event::Request { id, end, .. } => {
                assert_eq!(self.role, Role::Gateway);
                assert!(id.is_odd());
                let theirs = if end { Half::Ended } else { Half::Body };
                let before = self.lanes.insert(id, Lane { ours: Half::Head, theirs });
                assert!(before.is_none(), "a second request on {id}");
            }
            Event::Reply { id, end, .. } => {
                assert_eq!(self.role, Role::Client);
                let lane = self.lane(id);
                assert_eq!(lane.theirs, Half::Head, "a second reply on {id}");
                lane.theirs = if end { Half::Ended } else { Half::Body };
                self.remove_if_ended(id);
            }
            Event::Data { id, ref bytes, end } => {
                let lane = self.lane(id);
                assert_eq!(lane.theirs, Half::Body, "data out of place on {id}");
                assert!(end || !bytes.is_empty(), "an empty event on {id}");
                if end {
                    lane.theirs = Half::Ended;
                    self.remove_if_ended(id);
                }
            }
            Event::SocketsRequest { id, .. } => {
                assert_eq!(self.role, Role::Client);
                assert!(!id.is_odd());
                let lane = Lane { ours: Half::Head, theirs: Half::Body };
                assert!(self.lanes.insert(id, lane).is_none(), "a second request on {id}");
            }
            Event::SocketsReply { id, code } => {
                assert_eq!(self.role, Role::Gateway);
                let lane = self.lane(id);
                assert_eq!((lane.ours, lane.theirs), (Half::Head, Half::Head), "{id}");
                *lane = Lane { ours: Half::Body, theirs: Half::Body };
                if code != SocketsCode::OK {
                    self.lanes.remove(&id);
                }
            }
            Event::Reset { id, .. } => {
                assert!(self.lanes.remove(&id).is_some(), "reset of {id}, which is not alive");
            }
            Event::Pong { .. }
            | Event::Control(_)
            | Event::ConnectionEnded { .. }
            | Event::GoAway => {}
        }
    }

    /// Checks a frame that goes out: whole, within the limit, and readable by our own decoder.
    ///
    /// # Panics
    /// When it is none of these, or more than was queued.
    pub fn wrote(&mut self, transmit: &Transmit) {
        let bytes = transmit.to_vec();
        assert!(bytes.len() <= MAX_FRAME && bytes.len() == transmit.len());
        let mut decoder = Decoder::default();
        let mut rest = bytes.as_slice();
        let raw = decoder.next(&mut rest).expect("within the limit").expect("a whole frame");
        let length = raw.body.len();
        match Frame::decode(raw).expect("what we write we can read") {
            Frame::Data { id, fin: true, .. } if self.freed.remove(&id) => {
                assert_eq!(length, 0, "a body of {id}, which is given up");
            }
            Frame::Data { id, fin, .. } => {
                assert!(length <= self.unsent, "more body than was queued");
                self.unsent -= length;
                let lane = self.lane(id);
                assert!(matches!(lane.ours, Half::Body | Half::Ending), "data after the end");
                assert!(!fin || lane.ours == Half::Ending, "FIN without finish()");
                if fin {
                    lane.ours = Half::Ended;
                    self.remove_if_ended(id);
                }
            }
            Frame::SynStream(_) => assert_eq!(self.role, Role::Client),
            Frame::SynReply(_) => assert_eq!(self.role, Role::Gateway),
            Frame::Control(control) => {
                let again = control.encode().expect("it was small enough to be written");
                assert_eq!(again, bytes);
            }
            Frame::SocketsRequest(_) => assert_eq!(self.role, Role::Gateway),
            Frame::SocketsReply(_) => assert_eq!(self.role, Role::Client),
            Frame::ConnectionEnded(_) => assert_eq!(self.role, Role::Client),
            Frame::RstStream(_)
            | Frame::Ping(_)
            | Frame::Announcement(_)
            | Frame::GoAway(_)
            | Frame::WindowUpdate(_) => {}
        }
        assert!(rest.is_empty(), "one transmit is one frame");
    }

    fn lane(&mut self, id: StreamId) -> &mut Lane {
        self.lanes.get_mut(&id).unwrap_or_else(|| panic!("{id} is not alive"))
    }

    /// Removes a stream whose halves have both ended; no event may follow for it.
    fn remove_if_ended(&mut self, id: StreamId) {
        let lane = self.lane(id);
        if lane.ours == Half::Ended && lane.theirs == Half::Ended {
            self.lanes.remove(&id);
        }
    }
}
