//! SYN_STREAM: a request begins (wire spec 3.1).
//!
//! ```text
//! u32 stream id   u32 associated id = 0   u8 priority<<5   u8 slot = 0
//! text host   text method   text path   { text name  text value }*
//! ```
//!
//! The first field may be the pseudo-field `:connection`, with a number in decimal digits.

use bytes::Bytes;

use super::{
    FLAG_FIN, Fields, HEADER, HeadTooLarge, Kind, MAX_FRAME, Malformed, check_fields, head,
    take_array, take_pseudo, text,
};
use crate::{DecodeError, Priority, StreamId};

/// Bytes between the frame header and the strings.
const FIXED: usize = 10;
/// Space for the strings in one frame.
const MAX_BLOCK: usize = MAX_FRAME - HEADER - FIXED;
/// The pseudo-field of [`RequestHead::connection`].
const CONNECTION: &[u8] = b":connection";
/// The maximum length of the pseudo-field: two lengths, the name and ten digits.
const CONNECTION_ROOM: usize = 2 + CONNECTION.len() + 10;

/// Host, method, path and fields of a request, in wire form. A clone shares the text, so storing a
/// head for a second attempt copies nothing.
///
/// The strings are encoded as they are pushed and are decoded as they are read, so a
/// head costs one allocation on either side and an iterator walks it in place.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    priority: Priority,
    connection: Option<u32>,
    block: Bytes,
}

/// A [`RequestHead`] to which fields are added.
pub struct RequestHeadBuilder {
    block: Vec<u8>,
}

impl RequestHeadBuilder {
    /// Appends a field. Case and duplicates are preserved.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the field does not fit any more; the head is then unchanged.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadTooLarge> {
        let before = self.block.len();
        self.put(name)?;
        self.put(value).inspect_err(|_| self.block.truncate(before))
    }

    /// The finished head, with the default priority.
    #[must_use]
    pub fn build(self) -> RequestHead {
        RequestHead { priority: Priority::DEFAULT, connection: None, block: self.block.into() }
    }

    fn put(&mut self, part: &[u8]) -> Result<(), HeadTooLarge> {
        if self.block.len() + text::encoded_len(part.len()) > MAX_BLOCK {
            return Err(HeadTooLarge);
        }
        text::put(&mut self.block, part);
        Ok(())
    }
}

impl RequestHead {
    /// Memory that the head takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.block.len()
    }

    /// Begins a head. `path` is path and query as they go on the wire; an empty one is legal there,
    /// but `/` should be sent.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the three strings alone do not fit into a frame.
    pub fn builder(
        host: &[u8],
        method: &[u8],
        path: &[u8],
    ) -> Result<RequestHeadBuilder, HeadTooLarge> {
        // Enough for the fields of an ordinary browser request without reallocation.
        let mut head = RequestHeadBuilder { block: Vec::with_capacity(512) };
        for part in [host, method, path] {
            head.put(part)?;
        }
        Ok(head)
    }

    /// A head without fields.
    ///
    /// # Errors
    /// As [`RequestHead::builder`].
    pub fn new(host: &[u8], method: &[u8], path: &[u8]) -> Result<Self, HeadTooLarge> {
        Self::builder(host, method, path).map(RequestHeadBuilder::build)
    }

    /// The request's priority in the sender's queue; 0 is sent first.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Sets the priority.
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// The connection of the application that the request came on, if the client has named it
    /// and both ends know the extension.
    #[must_use]
    pub fn connection(&self) -> Option<u32> {
        self.connection
    }

    /// Names the application's connection. It is sent only to a gateway with the extension.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when it does not fit; the head is then unchanged.
    pub fn set_connection(&mut self, id: u32) -> Result<(), HeadTooLarge> {
        if self.block.len() + CONNECTION_ROOM > MAX_BLOCK {
            return Err(HeadTooLarge);
        }
        self.connection = Some(id);
        Ok(())
    }

    pub(crate) fn forget_connection(&mut self) {
        self.connection = None;
    }

    /// The back end as the gateway names it.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.start().0[0]
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.start().0[1]
    }

    /// Path and query. May be empty from a reference client: read it as `/`.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.start().0[2]
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::over(self.start().1)
    }

    /// The three leading strings and what follows them. Both constructors have written them.
    fn start(&self) -> ([&[u8]; 3], &[u8]) {
        let mut rest = &self.block[..];
        let parts = std::array::from_fn(|_| text::take(&mut rest).unwrap_or_default());
        (parts, rest)
    }

    /// The strings as they go on the wire; `connections`: the peer knows the pseudo-field.
    pub(crate) fn into_block(self, connections: bool) -> Bytes {
        match self.connection.filter(|_| connections) {
            None => self.block,
            Some(id) => self.block_naming(id),
        }
    }

    fn block_naming(&self, id: u32) -> Bytes {
        let fields = self.start().1;
        let (start, _) = self.block.split_at(self.block.len() - fields.len());
        let mut block = Vec::with_capacity(self.block.len() + CONNECTION_ROOM);
        block.extend_from_slice(start);
        text::put(&mut block, CONNECTION);
        text::put(&mut block, id.to_string().as_bytes());
        block.extend_from_slice(fields);
        block.into()
    }
}

impl std::fmt::Debug for RequestHead {
    /// Shows host, method and priority; path and fields may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("host", &String::from_utf8_lossy(self.host()))
            .field("method", &String::from_utf8_lossy(self.method()))
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// The frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynStream {
    /// Stream id; a gateway takes any odd one.
    pub id: StreamId,
    /// Whether the request has no body.
    pub fin: bool,
    /// The request.
    pub head: RequestHead,
}

impl SynStream {
    /// Reads a body of this type. Associated id and slot are ignored.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when even the stream id is unreadable,
    /// [`DecodeError::BadHead`] when the strings are broken.
    pub fn decode(flags: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let (fixed, block) = take_array::<FIXED>(body, "SYN_STREAM is too short")?;
        let id = u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]);
        let id = StreamId::new(id).ok_or(Malformed("SYN_STREAM on stream 0"))?;
        let mut rest = block;
        for _ in 0..3 {
            text::take(&mut rest).map_err(|why| DecodeError::BadHead { id, why })?;
        }
        let (start, _) = block.split_at(block.len() - rest.len());
        let connection = take_pseudo(&mut rest, CONNECTION).and_then(decimal);
        check_fields(rest).map_err(|why| DecodeError::BadHead { id, why })?;
        let mut block = Vec::with_capacity(start.len() + rest.len());
        block.extend_from_slice(start);
        block.extend_from_slice(rest);
        let (priority, block) = (Priority::from_wire(fixed[8]), block.into());
        let head = RequestHead { priority, connection, block };
        Ok(Self { id, fin: flags & FLAG_FIN != 0, head })
    }

    /// Header and fixed part; the block of strings follows them on the wire.
    pub(crate) fn encode_fixed(
        id: StreamId,
        fin: bool,
        priority: Priority,
        block: usize,
    ) -> [u8; HEADER + FIXED] {
        let flags = if fin { FLAG_FIN } else { 0 };
        let mut out = [0; HEADER + FIXED];
        out[..HEADER].copy_from_slice(&head::control(Kind::SYN_STREAM, flags, FIXED + block));
        out[HEADER..HEADER + 4].copy_from_slice(&id.get().to_be_bytes());
        out[HEADER + 8] = priority.to_wire();
        out
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let block = self.head.clone().into_block(true);
        let fixed = Self::encode_fixed(self.id, self.fin, self.head.priority, block.len());
        [&fixed[..], &block].concat()
    }
}

/// A number in decimal digits, as we write it.
fn decimal(value: &[u8]) -> Option<u32> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_never_outgrows_its_frame() {
        let mut head = RequestHead::builder(b"host", b"GET", b"/").unwrap();
        while head.push(b"X-Field", &[b'v'; 100]).is_ok() {}
        let head = head.build();
        let short = MAX_BLOCK - head.block.len();
        assert!(short < 110);
        let id = StreamId::new(1).unwrap();
        let frame = SynStream { id, fin: true, head: head.clone() };
        assert!(frame.encode().len() <= MAX_FRAME);
        assert_eq!(head.fields().count(), frame.head.fields().count());
        assert!(RequestHead::new(b"h", b"GET", &[b'p'; MAX_FRAME]).is_err());
    }

    #[test]
    fn a_field_that_does_not_fit_leaves_the_head_unchanged() {
        let mut head = RequestHead::builder(b"h", b"GET", b"/").unwrap();
        assert!(head.push(b"name", &[b'v'; MAX_FRAME]).is_err());
        assert!(head.build() == RequestHead::new(b"h", b"GET", b"/").unwrap());
    }

    #[test]
    fn debug_shows_no_path_and_no_field() {
        let mut head = RequestHead::builder(b"h", b"GET", b"/?token=secret").unwrap();
        head.push(b"Authorization", b"secret").unwrap();
        let head = head.build();
        assert!(!format!("{head:?}").contains("secret"));
    }
}
