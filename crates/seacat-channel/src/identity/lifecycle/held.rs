//! The certificate we have, and its time: what the calendar says, whatever the clocks say.

use std::time::{Duration, Instant};

/// The longest look ahead. The monotonic clock may stand still while the computer sleeps, and the
/// other may be set: so the calendar is consulted now and then.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// A certificate that was refused is shown again after this time, unless we are talking with the
/// gateway: it may have been wrong, or may talk to nobody without one.
pub(super) const FORGIVE: Duration = Duration::from_secs(3600);

/// The earliest renewal before the end, for certificates that live long (seconds).
const RENEW_BEFORE: i64 = 30 * 86_400;

/// Both clocks. `wall` may jump either way; `mono` never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Seconds since 1970.
    pub(crate) wall: i64,
    pub(crate) mono: Instant,
}

/// When a certificate counts, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

impl Validity {
    /// When to ask for the next one: a third of the life before the end, 30 days at most.
    pub(crate) fn renew_at(self) -> i64 {
        let life = self.not_after.saturating_sub(self.not_before).max(0);
        self.not_after.saturating_sub((life / 3).min(RENEW_BEFORE))
    }
}

/// A certificate that we hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) validity: Validity,
    /// Since when (in this run).
    since: Instant,
    /// The clock called it expired when it came, and it had only just been issued.
    clock_is_ahead: bool,
    /// Since when the gateway has not wanted it any more.
    pub(super) refused: Option<Instant>,
    /// When the gateway last said that it is ours (in this run).
    pub(super) confirmed: Option<Instant>,
    /// The gateway says that it has no such certificate.
    pub(super) unknown: bool,
    /// The gateway issued it in this run.
    issued: bool,
}

impl Held {
    /// One of an earlier run.
    pub(crate) fn found(validity: Validity, now: Now) -> Self {
        Self {
            validity,
            since: now.mono,
            clock_is_ahead: false,
            refused: None,
            confirmed: None,
            unknown: false,
            issued: false,
        }
    }

    /// One that has only just been issued.
    pub(crate) fn issued(validity: Validity, now: Now) -> Self {
        let clock_is_ahead = now.wall >= validity.not_after;
        Self { clock_is_ahead, issued: true, ..Self::found(validity, now) }
    }

    /// Whether a connection that begins now shows it.
    pub(crate) fn is_shown(&self, now: Now) -> bool {
        self.refused.is_none() && !self.is_expired(now)
    }

    pub(crate) fn is_expired(&self, now: Now) -> bool {
        self.calendar(now) >= self.validity.not_after
    }

    pub(crate) fn must_be_replaced(&self, now: Now) -> bool {
        self.refused.is_some() || self.unknown || self.is_renewal_due(now)
    }

    pub(crate) fn is_renewal_due(&self, now: Now) -> bool {
        self.calendar(now) >= self.validity.renew_at()
    }

    /// Whether the gateway can be expected to know it. Some gateways keep no certificates: one that
    /// does not know what it has just issued says nothing about the certificate.
    pub(super) fn should_be_known(&self) -> bool {
        self.confirmed.is_some() || !self.issued
    }

    /// When to look at the calendar again: at its next date or in an hour. None after its end.
    pub(crate) fn next_look(&self, now: Now) -> Option<Instant> {
        let today = self.calendar(now);
        let dates = [self.validity.renew_at(), self.validity.not_after];
        let seconds = dates.into_iter().find(|&date| date > today)? - today;
        Some(now.mono + Duration::from_secs(seconds.unsigned_abs()).min(LOOK_AGAIN))
    }

    /// The date. It is no earlier than the certificate's first day and the time we have had it
    /// say, wherever a clock that was set back stands; and a clock that is known to be ahead says
    /// nothing.
    fn calendar(&self, now: Now) -> i64 {
        let age = now.mono.saturating_duration_since(self.since).as_secs();
        let age = i64::try_from(age).unwrap_or(i64::MAX);
        let earliest = self.validity.not_before.saturating_add(age);
        if self.clock_is_ahead && now.wall >= self.validity.not_after {
            return earliest;
        }
        now.wall.max(earliest)
    }
}
