//! A gateway may refuse our certificate without a word: by a reset, or by a goodbye right after
//! the handshake (wire specification, section 9). It looks like any broken connection, so it takes
//! several to suspect the certificate, and a connection without it to be sure.

/// What to think of our certificate.
///
/// ```text
///          one that showed it breaks          without it, the next one
///   trust ──────────► once ───► twice ───► breaks: it was not the certificate ──► trust
///     ▲                │          │        lives: it was
///     └────────────────┴──────────┘
///          one that showed it lives
/// ```
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    broken: u8,
}

impl Doubt {
    /// So many connections in a row.
    const ENOUGH: u8 = 3;

    /// Whether the next connection goes without the certificate, to see.
    pub(crate) fn withholds(&self) -> bool {
        self.broken >= Self::ENOUGH
    }

    /// A connection ended before it was steady.
    pub(crate) fn broke(&mut self, identified: bool) {
        self.broken = match self.withholds() {
            true => 0,
            false => self.broken + u8::from(identified),
        };
    }

    /// A connection is steady. Says whether that proves that the certificate is not wanted.
    pub(crate) fn lives(&mut self, identified: bool) -> bool {
        let proof = self.withholds() && !identified;
        self.broken = 0;
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH: bool = true;
    const WITHOUT: bool = false;

    fn suspicious() -> Doubt {
        let mut it = Doubt::default();
        (0..Doubt::ENOUGH).for_each(|_| it.broke(WITH));
        assert!(it.withholds());
        it
    }

    #[test]
    fn three_in_a_row_and_one_that_lives_without_it() {
        assert!(suspicious().lives(WITHOUT));
    }

    #[test]
    fn a_gateway_that_breaks_everything_proves_nothing() {
        let mut it = suspicious();
        it.broke(WITHOUT);
        assert!(!it.withholds());
        assert!(!it.lives(WITHOUT));
    }

    #[test]
    fn one_that_lives_ends_the_doubt() {
        let mut it = Doubt::default();
        for _ in 0..100 {
            it.broke(WITH);
            it.broke(WITH);
            assert!(!it.lives(WITH));
            it.broke(WITHOUT);
            assert!(!it.withholds());
        }
    }
}
