//! What single values of the file may be. Each is checked while it is read, so that an error knows
//! its line.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

const DAY: u64 = 86_400;
/// As long as a CA of ours lives.
const TEN_YEARS: u64 = 3652 * DAY;

/// Most times are over in a day.
pub(super) type Seconds = Time<DAY>;
/// How long a certificate lives.
pub(super) type Life = Time<TEN_YEARS>;

pub(super) fn seconds(given: Option<Seconds>, default: Duration) -> Duration {
    given.map_or(default, |it| it.0)
}

/// A time in seconds, whole or not: above nothing, at most `MOST`.
#[derive(Clone, Copy)]
pub(super) struct Time<const MOST: u64>(pub(super) Duration);

impl<'de, const MOST: u64> Deserialize<'de> for Time<MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(from)?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if !time.is_zero() && time <= Duration::from_secs(MOST) => Ok(Self(time)),
            _ => {
                Err(de::Error::custom(format!("a time is in seconds, above 0 and at most {MOST}")))
            }
        }
    }
}

/// How many of something: at least one.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) usize);

impl Count {
    /// So many MiB, in bytes.
    pub(super) fn mebibytes(self) -> u64 {
        self.0 as u64 * 1024 * 1024
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            0 => Err(de::Error::custom("this must be at least 1")),
            count => Ok(Self(count as usize)),
        }
    }
}

/// A string parsed while it is read, so that an error knows its line.
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Parsed).map_err(de::Error::custom)
    }
}
