//! The frame decoder: whatever the bytes and wherever they are cut, the frames are the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use seacat_fuzz::Input;
use seacat_proto::frame::{Frame, FrameHead, HEADER};
use seacat_proto::{ConnectionError, Control, Decoder, MAX_FRAME, MAX_PAYLOAD};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let Some(seed) = input.byte() else { return };
    let wire = input.rest();
    let whole = frames(&[wire]);
    let cut = frames(&cuts(wire, seed));
    assert_eq!(whole, cut);
    for frame in &whole.0 {
        check(frame);
    }
});

/// Whole frames, and why there are no more, if they ended in an error.
type Found = (Vec<Vec<u8>>, Option<ConnectionError>);

/// The frames in `pieces`, decoded one piece after the other.
fn frames(pieces: &[&[u8]]) -> Found {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(raw)) => {
                    assert_eq!(raw.head.length(), raw.body.len());
                    assert!(raw.body.len() <= MAX_PAYLOAD);
                    found.push([&bytes_of(raw.head), raw.body].concat());
                }
                Err(error) => return (found, Some(error)),
            }
        }
        assert!(rest.is_empty(), "a decoder that wants more has taken everything");
    }
    (found, None)
}

/// The header again. Data frames keep the one flag there is, control frames all.
fn bytes_of(head: FrameHead) -> [u8; HEADER] {
    use seacat_proto::frame::head::{control, data};
    match head {
        FrameHead::Control { kind, flags, length } => control(kind, flags, length),
        FrameHead::Data { stream: Some(id), flags, length } => data(id, flags & 1 != 0, length),
        FrameHead::Data { stream: None, flags, length } => {
            let [_, a, b, c] = (length as u32).to_be_bytes();
            [0, 0, 0, 0, flags & 1, a, b, c]
        }
    }
}

/// `wire` in pieces of 1 to 64 bytes, their lengths drawn from `seed`.
fn cuts(mut wire: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed);
    let mut pieces = Vec::new();
    while !wire.is_empty() {
        // Numerical Recipes' generator; its high bits are good enough to cut by.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (1 + (state >> 26) as usize).min(wire.len());
        let (piece, rest) = wire.split_at(length);
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

/// Decodes one frame, and what we could have sent ourselves must come back the same.
fn check(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let mut rest = bytes;
    let raw = decoder.next(&mut rest).expect("it was decoded before").expect("it is whole");
    let Ok(frame) = Frame::decode(raw) else {
        return;
    };
    match frame {
        Frame::Control(control) => again(&control),
        Frame::SynStream(frame) => {
            let encoded = frame.encode();
            // 0xFF and a short length is a legal, longer way to write a short string, and it is
            // kept as it came; so nothing grows.
            assert!(encoded.len() <= MAX_FRAME);
            assert!(frame.head.fields().count() <= bytes.len());
        }
        Frame::SynReply(frame) => {
            assert!(frame.encode().len() <= MAX_FRAME);
            assert!(frame.head.fields().count() <= bytes.len());
        }
        Frame::Data { payload, .. } => assert_eq!(payload, &bytes[HEADER..]),
        Frame::RstStream(frame) => same_beginning(&frame.encode(), bytes),
        Frame::Ping(ping) => same_beginning(&ping.encode(), bytes),
        Frame::Announcement(frame) => same_beginning(&frame.encode(), bytes),
        Frame::GoAway(frame) => same_beginning(&frame.encode()[..HEADER + 4], bytes),
        Frame::ConnectionEnded(frame) => {
            assert_eq!(frame.encode()[HEADER..], bytes[HEADER..HEADER + 4]);
        }
        Frame::SocketsRequest(frame) => same_beginning(&frame.encode(), bytes),
        // What stands behind the code carries nothing and is not kept.
        Frame::SocketsReply(frame) => same_beginning(&frame.encode()[..HEADER + 5], bytes),
        Frame::WindowUpdate(frame) => {
            assert!(seacat_proto::frame::WindowUpdate::decode(&frame.encode()[HEADER..]).is_ok());
        }
    }
}

/// Bodies of a fixed size are written as they were read. What a peer added behind is not kept,
/// nor is the bit above a stream's 31.
fn same_beginning(encoded: &[u8], bytes: &[u8]) {
    let mut due = bytes[HEADER..encoded.len()].to_vec();
    let mut found = encoded[HEADER..].to_vec();
    (due[0], found[0]) = (due[0] & 0x7F, found[0] & 0x7F);
    assert_eq!(found, due);
}

/// A control frame that was read, written and read again, is the same.
fn again(control: &Control) {
    // One that was read fits into a frame, however it is written.
    let bytes = control.encode().expect("it came in one frame");
    let mut decoder = Decoder::default();
    let mut rest = bytes.as_slice();
    let raw = decoder.next(&mut rest).expect("within the limit").expect("whole");
    match Frame::decode(raw) {
        Ok(Frame::Control(second)) => assert_eq!(&second, control),
        other => panic!("{control:?} became {other:?}"),
    }
}
