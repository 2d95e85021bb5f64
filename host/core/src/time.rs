//! Instants as facts: whoever needs one is given it.

use ::time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// Latest instant that RFC 3339 can write: 9999-12-31T23:59:59.999Z.
const MILLIS_MAX: i64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds; instants outside years 1970..9999 are clamped to that range.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.clamp(0, MILLIS_MAX))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The same, as the contract's unsigned number.
    pub const fn millis_u64(self) -> u64 {
        self.0.unsigned_abs()
    }

    fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// `20261120-131500`, for ids and file names.
    pub fn compact(self) -> String {
        let t = self.utc();
        format!(
            "{:04}{:02}{:02}-{:02}{:02}{:02}",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.utc();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl std::str::FromStr for Timestamp {
    type Err = BadTimestamp;
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let t = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadTimestamp)?.to_offset(UtcOffset::UTC);
        let millis = i64::try_from(t.unix_timestamp_nanos() / 1_000_000).map_err(|_| BadTimestamp)?;
        if (0..=MILLIS_MAX).contains(&millis) { Ok(Timestamp(millis)) } else { Err(BadTimestamp) }
    }
}

/// A text that is not an RFC 3339 instant of the years 1970..9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time of the years 1970 to 9999")]
pub struct BadTimestamp;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back_to_the_millisecond() {
        let at = Timestamp::from_millis(1_795_180_500_007);
        assert_eq!(at.to_string(), "2026-11-20T13:15:00.007Z");
        assert_eq!(at.compact(), "20261120-131500");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-20T14:15:00.007+01:00".parse(), Ok(at));
        for bad in ["", "2026-11-20", "1969-12-31T23:59:59Z"] {
            assert_eq!(bad.parse::<Timestamp>(), Err(BadTimestamp), "{bad}");
        }
    }
}
