//! Random histories of two connections, held against a model that is nothing but two
//! byte strings a stream.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod pair;

use std::collections::BTreeMap;

use pair::{Pair, Seen};
use proptest::collection::vec;
use proptest::prelude::*;
use seacat_proto::frame::{Frame, SynStream};
use seacat_proto::{
    Bytes, Decoder, Event, Extensions, Priority, Reason, ReplyHead, RequestHead, SocketsCode,
    StreamId,
};

/// What a program, or the wire, may do next. Streams are named by their place in the
/// list of those ever opened.
#[derive(Clone, Debug)]
enum Step {
    Open {
        end: bool,
        priority: u8,
    },
    Reply {
        stream: usize,
        end: bool,
    },
    /// The gateway opens a reverse socket; the client grants one to an even port.
    Connect {
        port: u16,
    },
    Send {
        stream: usize,
        up: bool,
        length: usize,
    },
    Finish {
        stream: usize,
        up: bool,
    },
    Reset {
        stream: usize,
        up: bool,
    },
    StopReceiving {
        stream: usize,
    },
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0..8usize;
    prop_oneof![
        3 => (any::<bool>(), 0..8u8).prop_map(|(end, priority)| Step::Open { end, priority }),
        3 => (stream.clone(), any::<bool>()).prop_map(|(stream, end)| Step::Reply { stream, end }),
        1 => any::<u16>().prop_map(|port| Step::Connect { port }),
        6 => (stream.clone(), any::<bool>(), 0..40_000usize)
            .prop_map(|(stream, up, length)| Step::Send { stream, up, length }),
        3 => (stream.clone(), any::<bool>()).prop_map(|(stream, up)| Step::Finish { stream, up }),
        1 => (stream.clone(), any::<bool>()).prop_map(|(stream, up)| Step::Reset { stream, up }),
        1 => stream.prop_map(|stream| Step::StopReceiving { stream }),
        3 => Just(Step::Settle),
    ]
}

/// One direction of a stream.
#[derive(Default, Debug)]
struct Lane {
    sent: Vec<u8>,
    finished: bool,
    received: Vec<u8>,
    ended: bool,
}

/// A stream as the model sees it.
#[derive(Default, Debug)]
struct Model {
    up: Lane,
    down: Lane,
    replied: bool,
    reply_seen: bool,
    /// Somebody reset it, or no longer listens: bytes may be missing at the end.
    broken: bool,
}

struct World {
    pair: Pair,
    streams: Vec<StreamId>,
    models: BTreeMap<StreamId, Model>,
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Open { end, priority } => {
                let mut head = RequestHead::new(b"h", b"POST", b"/").unwrap();
                head.set_priority(Priority::new(priority).unwrap());
                let id = self.pair.client.open(head, end).unwrap();
                let requests = self.streams.iter().filter(|id| id.is_odd()).count();
                assert_eq!(id.get() as usize, 2 * requests + 1);
                self.streams.push(id);
                let up = Lane { finished: end, ..Lane::default() };
                self.models.insert(id, Model { up, ..Model::default() });
            }
            Step::Reply { stream, end } => self.with(stream, |pair, id, model| {
                if pair.gateway.reply(id, ReplyHead::new(200), end).is_ok() {
                    assert!(!model.replied, "answered twice");
                    model.replied = true;
                    model.down.finished = end;
                }
            }),
            Step::Connect { port } => {
                let id = self.pair.gateway.connect(port).unwrap();
                assert!(!id.is_odd());
                self.streams.push(id);
                self.models.insert(id, Model::default());
            }
            Step::Send { stream, up, length } => self.with(stream, |pair, id, model| {
                let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
                let (end, lane) = side(pair, model, up);
                if end.send(id, Bytes::from(bytes.clone())).is_ok() {
                    assert!(!lane.finished, "sent after its end");
                    lane.sent.extend(bytes);
                }
            }),
            Step::Finish { stream, up } => self.with(stream, |pair, id, model| {
                let (end, lane) = side(pair, model, up);
                if end.finish(id).is_ok() {
                    assert!(!lane.finished, "finished twice");
                    lane.finished = true;
                }
            }),
            Step::Reset { stream, up } => self.with(stream, |pair, id, model| {
                let (end, _) = side(pair, model, up);
                end.reset(id, Reason::CANCEL);
                assert!(end.send(id, Bytes::from_static(b"x")).is_err());
                model.broken = true;
            }),
            Step::StopReceiving { stream } => self.with(stream, |pair, id, model| {
                pair.gateway.stop_receiving(id);
                model.broken = true;
            }),
            Step::Settle => self.settle(),
        }
    }

    fn with(&mut self, stream: usize, act: impl FnOnce(&mut Pair, StreamId, &mut Model)) {
        if let Some(id) = self.streams.get(stream) {
            act(&mut self.pair, *id, self.models.get_mut(id).unwrap());
        }
    }

    fn settle(&mut self) {
        let Seen { client, gateway } = self.pair.settle();
        let mut answered = false;
        for (up, event) in
            gateway.into_iter().map(|e| (true, e)).chain(client.into_iter().map(|e| (false, e)))
        {
            match event {
                Event::Request { id, end, .. } => self.models.get_mut(&id).unwrap().up.ended |= end,
                Event::Reply { id, end, .. } => {
                    let model = self.models.get_mut(&id).unwrap();
                    assert!(model.replied && !model.reply_seen);
                    model.reply_seen = true;
                    model.down.ended |= end;
                }
                Event::Data { id, bytes, end } => {
                    let model = self.models.get_mut(&id).unwrap();
                    let lane = if up { &mut model.up } else { &mut model.down };
                    assert!(!lane.ended, "DATA after the end");
                    lane.received.extend_from_slice(&bytes);
                    lane.ended |= end;
                }
                Event::SocketsRequest { id, port } => {
                    answered = true;
                    match port % 2 {
                        // It may have been reset meanwhile.
                        0 => drop(self.pair.client.accept(id)),
                        _ => self.pair.client.refuse(id, SocketsCode::NOT_CONFIGURED),
                    }
                }
                Event::SocketsReply { id, code } => {
                    let model = self.models.get_mut(&id).unwrap();
                    assert!(up && !model.reply_seen);
                    model.reply_seen = true;
                    model.broken |= code != SocketsCode::OK;
                }
                Event::Reset { id, .. } => assert!(self.models[&id].broken, "an unasked reset"),
                other => panic!("{other:?}"),
            }
        }
        if answered {
            return self.settle();
        }
        for (id, model) in &self.models {
            for lane in [&model.up, &model.down] {
                assert!(lane.sent.starts_with(&lane.received), "{id}: bytes out of order");
                if !model.broken {
                    assert_eq!(lane.received.len(), lane.sent.len(), "{id}: bytes missing");
                    assert_eq!(lane.ended, lane.finished, "{id}: end");
                }
            }
        }
        let open = self
            .models
            .values()
            .filter(|m| !(m.broken || m.up.finished && m.down.finished))
            .count();
        assert!(self.pair.client.stream_count() >= open, "a living stream was forgotten");
    }
}

fn side<'a>(
    pair: &'a mut Pair,
    model: &'a mut Model,
    up: bool,
) -> (&'a mut seacat_proto::Connection, &'a mut Lane) {
    if up { (&mut pair.client, &mut model.up) } else { (&mut pair.gateway, &mut model.down) }
}

proptest! {
    #[test]
    fn any_history_agrees_with_the_model(
        steps in vec(step(), 0..60),
        extended in any::<bool>(),
    ) {
        let extensions = if extended { Extensions::ALL } else { Extensions::NONE };
        let pair = Pair::new(extensions);
        let mut world = World { pair, streams: Vec::new(), models: BTreeMap::new() };
        for step in &steps {
            world.take(step);
        }
        world.settle();
        for id in world.streams.clone() {
            world.pair.client.reset(id, Reason::CANCEL);
            world.models.get_mut(&id).unwrap().broken = true;
        }
        world.settle();
        prop_assert_eq!(world.pair.client.stream_count(), 0);
        prop_assert_eq!(world.pair.gateway.stream_count(), 0);
    }

    #[test]
    fn any_head_is_decoded_as_encoded(
        host in vec(any::<u8>(), 0..300),
        path in vec(any::<u8>(), 0..300),
        fields in vec((vec(any::<u8>(), 0..260), vec(any::<u8>(), 0..260)), 0..20),
        cut in 0..100usize,
    ) {
        let mut head = RequestHead::builder(&host, b"PATCH", &path).unwrap();
        let mut kept = Vec::new();
        for (name, value) in fields {
            if head.push(&name, &value).is_ok() {
                kept.push((name, value));
            }
        }
        let head = head.build();
        let bytes = SynStream { id: StreamId::new(7).unwrap(), fin: false, head }.encode();
        let cut = cut.min(bytes.len());
        let mut decoder = Decoder::default();
        prop_assert!(cut == bytes.len() || decoder.next(&mut &bytes[..cut]).unwrap().is_none());
        let mut rest = if cut == bytes.len() { &bytes[..] } else { &bytes[cut..] };
        let raw = decoder.next(&mut rest).unwrap().unwrap();
        let Frame::SynStream(frame) = Frame::decode(raw).unwrap() else { panic!() };
        prop_assert_eq!(frame.head.host(), &host[..]);
        prop_assert_eq!(frame.head.path(), &path[..]);
        let got: Vec<_> = frame.head.fields().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        prop_assert_eq!(got, kept);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in vec(any::<u8>(), 0..2000),
        cuts in vec(0..2000usize, 0..5),
        client in any::<bool>(),
    ) {
        let extensions = if client { Extensions::ALL } else { Extensions::NONE };
        let mut pair = Pair::new(extensions);
        pair.client.open(RequestHead::new(b"h", b"GET", b"/").unwrap(), false).unwrap();
        let target = if client { &mut pair.client } else { &mut pair.gateway };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        for window in cuts.windows(2) {
            if target.handle_input(&bytes[window[0]..window[1]], pair.now).is_err() {
                break;
            }
            while target.poll_event().is_some() || target.poll_transmit().is_some() {}
        }
    }
}
