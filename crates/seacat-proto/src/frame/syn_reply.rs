//! SYN_REPLY: the head of a response (wire spec 3.2).
//!
//! ```text
//! u32 stream id   u16 HTTP status   u16 reserved = 0   { text name  text value }*
//! ```
//!
//! The first field may be the pseudo-field `:reason`, with the phrase of the status line.

use bytes::{Buf, Bytes};

use super::{
    FLAG_FIN, Fields, HEADER, HeadTooLarge, Kind, MAX_FRAME, Malformed, check_fields, head,
    take_array, take_pseudo, text,
};
use crate::{DecodeError, StreamId};

const FIXED: usize = 8;
const MAX_BLOCK: usize = MAX_FRAME - HEADER - FIXED;
/// The pseudo-field of [`ReplyHead::reason`].
const REASON: &[u8] = b":reason";

/// Status and fields of a response, in wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    status: u16,
    block: Vec<u8>,
    /// Where the fields begin: behind the pseudo-field, if there is one.
    fields_at: usize,
}

impl ReplyHead {
    /// Begins a head with an HTTP status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, block: Vec::with_capacity(256), fields_at: 0 }
    }

    /// Begins a head with the reason phrase of its status line. It is sent only to a client with
    /// the extension.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the phrase does not fit into a frame.
    pub fn with_reason(status: u16, reason: &[u8]) -> Result<Self, HeadTooLarge> {
        let mut head = Self::new(status);
        head.push(REASON, reason)?;
        head.fields_at = head.block.len();
        Ok(head)
    }

    /// The reason phrase, if the gateway has sent one and both ends know the extension.
    #[must_use]
    pub fn reason(&self) -> Option<&[u8]> {
        take_pseudo(&mut &self.block[..self.fields_at], REASON)
    }

    pub(crate) fn forget_reason(&mut self) {
        self.block.drain(..std::mem::take(&mut self.fields_at));
    }

    /// Memory that the head takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.block.capacity()
    }

    /// Appends a field. Case and duplicates are preserved.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the field does not fit any more; the head is then unchanged.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadTooLarge> {
        let length = text::encoded_len(name.len()) + text::encoded_len(value.len());
        if self.block.len() + length > MAX_BLOCK {
            return Err(HeadTooLarge);
        }
        text::put(&mut self.block, name);
        text::put(&mut self.block, value);
        Ok(())
    }

    /// The HTTP status as received: any number the wire can carry.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::over(&self.block[self.fields_at..])
    }

    /// The fields as they go on the wire; `reason`: the peer knows the pseudo-field.
    pub(crate) fn into_block(self, reason: bool) -> Bytes {
        let mut block = Bytes::from(self.block);
        if !reason {
            block.advance(self.fields_at);
        }
        block
    }
}

/// The frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynReply {
    /// The stream it answers.
    pub id: StreamId,
    /// Whether no body follows.
    pub fin: bool,
    /// The answer.
    pub head: ReplyHead,
}

impl SynReply {
    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when even the stream id is unreadable,
    /// [`DecodeError::BadHead`] when the strings are broken.
    pub fn decode(flags: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let (fixed, block) = take_array::<FIXED>(body, "SYN_REPLY is too short")?;
        let id = u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]);
        let id = StreamId::new(id).ok_or(Malformed("SYN_REPLY on stream 0"))?;
        check_fields(block).map_err(|why| DecodeError::BadHead { id, why })?;
        let status = u16::from_be_bytes([fixed[4], fixed[5]]);
        let mut fields = block;
        take_pseudo(&mut fields, REASON);
        let fields_at = block.len() - fields.len();
        let head = ReplyHead { status, block: block.to_vec(), fields_at };
        Ok(Self { id, fin: flags & FLAG_FIN != 0, head })
    }

    /// Header and fixed part; the block of strings follows them on the wire.
    pub(crate) fn encode_fixed(
        id: StreamId,
        fin: bool,
        status: u16,
        block: usize,
    ) -> [u8; HEADER + FIXED] {
        let flags = if fin { FLAG_FIN } else { 0 };
        let mut out = [0; HEADER + FIXED];
        out[..HEADER].copy_from_slice(&head::control(Kind::SYN_REPLY, flags, FIXED + block));
        out[HEADER..HEADER + 4].copy_from_slice(&id.get().to_be_bytes());
        out[HEADER + 4..HEADER + 6].copy_from_slice(&status.to_be_bytes());
        out
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let block = &self.head.block;
        let fixed = Self::encode_fixed(self.id, self.fin, self.head.status, block.len());
        [&fixed[..], block].concat()
    }
}
