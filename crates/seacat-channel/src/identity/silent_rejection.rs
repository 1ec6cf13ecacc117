//! A gateway may refuse our certificate silently: by a reset, or by a goodbye right after the
//! handshake (wire specification, section 9). That looks like any broken connection, so it takes
//! several to suspect the certificate, and a connection without it to be sure.
//!
//! With TLS 1.3 our handshake completes before the gateway has seen the certificate, so a completed
//! handshake proves nothing. A frame does: whoever sends one has accepted the certificate.

/// Whether the gateway silently refuses our certificate.
///
/// ```text
///      presented it, no frame came        without it, the next one
///   trust ──────────► once ───► twice ───► fails: it was not the certificate ──► trust
///     ▲                │          │        survives: it was
///     └────────────────┴──────────┘
///      presented it, and a frame came
/// ```
#[derive(Debug, Default)]
pub(crate) struct SilentRejection {
    suspicious: u8,
}

/// What is known of a connection that is over, or has lasted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// The gateway was presented our certificate.
    pub(crate) presented: bool,
    /// The gateway has sent at least one frame.
    pub(crate) answered: bool,
}

impl SilentRejection {
    /// Suspicious connections in a row before one without the certificate is tried. Two happen
    /// when a load balancer loses its back end.
    const ENOUGH: u8 = 3;

    /// Whether the next connection goes without the certificate, to find out.
    pub(crate) fn withhold_certificate(&self) -> bool {
        self.suspicious >= Self::ENOUGH
    }

    /// A connection has ended before it was steady.
    pub(crate) fn connection_failed(&mut self, Evidence { presented, answered }: Evidence) {
        self.suspicious = match presented {
            _ if self.withhold_certificate() => 0,
            true if answered => 0,
            true => self.suspicious + 1,
            false => self.suspicious,
        };
    }

    /// A connection is steady. Returns whether that proves that the certificate is refused.
    pub(crate) fn connection_survived(&mut self, presented: bool) -> bool {
        let proof = self.withhold_certificate() && !presented;
        self.suspicious = 0;
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Evidence = Evidence { presented: true, answered: false };
    const ANSWERED: Evidence = Evidence { presented: true, answered: true };
    const WITHOUT: Evidence = Evidence { presented: false, answered: false };

    fn suspicious() -> SilentRejection {
        let mut it = SilentRejection::default();
        (0..SilentRejection::ENOUGH).for_each(|_| it.connection_failed(SILENT));
        assert!(it.withhold_certificate());
        it
    }

    #[test]
    fn three_silent_ones_in_a_row_and_one_without_it_that_survives() {
        assert!(suspicious().connection_survived(false));
    }

    #[test]
    fn a_gateway_that_breaks_every_connection_proves_nothing() {
        let mut it = suspicious();
        it.connection_failed(WITHOUT);
        assert!(!it.withhold_certificate());
        assert!(!it.connection_survived(false));
    }

    #[test]
    fn one_that_survives_ends_the_suspicion() {
        let mut it = SilentRejection::default();
        for _ in 0..100 {
            it.connection_failed(SILENT);
            it.connection_failed(SILENT);
            assert!(!it.connection_survived(true));
            it.connection_failed(WITHOUT);
            assert!(!it.withhold_certificate());
        }
    }

    /// A gateway that restarts again and again, a VPN that flaps.
    #[test]
    fn connections_that_answered_are_no_reason_for_suspicion_however_short() {
        let mut it = SilentRejection::default();
        for _ in 0..100 {
            it.connection_failed(SILENT);
            it.connection_failed(SILENT);
            it.connection_failed(ANSWERED);
            assert!(!it.withhold_certificate());
        }
    }
}
