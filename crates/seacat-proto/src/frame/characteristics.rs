//! CHARACTERISTICS: facts about a client (wire spec 3.6).
//!
//! ```text
//! u32 serial   { key 0x1F value 0x00 }*          answered by: u32 serial
//! ```

use bytes::Bytes;

use super::{HeadTooLarge, Kind, Malformed, assemble, take_array};

const BETWEEN: u8 = 0x1F;
const END: u8 = 0x00;

/// The client's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Characteristics {
    /// Number of this set of facts; the gateway acknowledges it.
    pub serial: u32,
    items: Bytes,
}

impl Characteristics {
    /// A set of facts. They are sorted by key, as the reference client sends them.
    ///
    /// # Errors
    /// [`Malformed`] when a key or value contains a separator byte (0x00 or 0x1F).
    pub fn new(serial: u32, items: &[(&str, &str)]) -> Result<Self, Malformed> {
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        let mut block = Vec::new();
        for (key, value) in sorted {
            if [key, value].iter().any(|text| text.bytes().any(|b| b == BETWEEN || b == END)) {
                return Err(Malformed("separator inside a characteristic"));
            }
            block.extend_from_slice(key.as_bytes());
            block.push(BETWEEN);
            block.extend_from_slice(value.as_bytes());
            block.push(END);
        }
        Ok(Self { serial, items: block.into() })
    }

    /// The facts as received: key and value bytes. An item without a separator is a
    /// key with an empty value.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.items.split(|&b| b == END).filter(|item| !item.is_empty()).map(|item| {
            match item.iter().position(|&b| b == BETWEEN) {
                Some(at) => (&item[..at], &item[at + 1..]),
                None => (item, &[][..]),
            }
        })
    }

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (serial, items) = take_array::<4>(body, "CHARACTERISTICS is too short")?;
        Ok(Self { serial: u32::from_be_bytes(*serial), items: Bytes::copy_from_slice(items) })
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the facts do not fit into one frame.
    pub fn encode(&self) -> Result<Vec<u8>, HeadTooLarge> {
        assemble(Kind::CHARACTERISTICS, 0, &[&self.serial.to_be_bytes(), &self.items])
    }
}

/// The gateway has stored a set of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharacteristicsAck {
    /// Which set.
    pub serial: u32,
}

impl CharacteristicsAck {
    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (serial, _) = take_array::<4>(body, "CHARACTERISTICS_ACK is too short")?;
        Ok(Self { serial: u32::from_be_bytes(*serial) })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = super::head::control(Kind::CHARACTERISTICS_ACK, 0, 4);
        [&head[..], &self.serial.to_be_bytes()].concat()
    }
}
