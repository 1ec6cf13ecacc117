//! The types of single values in the file. Each is validated while it is parsed, so that an error
//! has its line.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

const DAY: u64 = 86_400;
/// The lifetime of a CA made by `init`.
const TEN_YEARS: u64 = 3652 * DAY;

/// Most durations are shorter than a day.
pub(super) type Seconds = Time<DAY>;
/// The lifetime of a certificate.
pub(super) type Lifetime = Time<TEN_YEARS>;

pub(super) fn seconds(given: Option<Seconds>, default: Duration) -> Duration {
    given.map_or(default, |it| it.0)
}

/// A duration in seconds, possibly fractional: above 0 and at most `MOST`.
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

/// A count of at least one.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) usize);

impl Count {
    /// The count as MiB, in bytes.
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

/// A string that is parsed during deserialization, so that an error has its line.
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Parsed).map_err(de::Error::custom)
    }
}
