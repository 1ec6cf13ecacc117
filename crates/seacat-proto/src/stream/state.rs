//! The state machine of a stream.
//!
//! ```text
//!                 SYN_STREAM sent or received
//!                             │
//!                             ▼            each half: Head ──SYN_REPLY──► Body ──FIN──► over
//!                 ┌────────── Open ──────────┐     (the client's half starts in Body:
//!           local FIN                   remote FIN   its head was the SYN_STREAM)
//!                 ▼                          ▼
//!          HalfClosedLocal          HalfClosedRemote
//!                 │ remote FIN               │ local FIN
//!                 └──────────► Closed ◄──────┘
//!
//!          RST_STREAM, either way, from anywhere: the stream is forgotten
//! ```
//!
//! A stream that the gateway opens to a port of the client is `Open { Head, Head }` at the gateway
//! until SOCKETS_REPLY, its head, opens both halves at once; the client's half of it starts in
//! Head as any answer does.
//!
//! A closed stream exists only until its last byte is written; then its connection removes it (wire
//! spec 4).

/// The state of one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The head is missing.
    Head,
    /// The body follows.
    Body,
}

/// Both halves of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open { local: Half, remote: Half },
    HalfClosedLocal { remote: Half },
    HalfClosedRemote { local: Half },
    Closed,
}

/// A frame or command that the state does not permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A body before its head.
    BeforeHead,
    /// A second head.
    SecondHead,
    /// Anything after the end of that half.
    AfterEnd,
}

impl State {
    /// A stream we asked for; `end` when the request has no body.
    pub(crate) fn opened(end: bool) -> Self {
        Self::Open { local: Half::Body, remote: Half::Head }.local_end_if(end)
    }

    /// A stream the peer asked for; `end` when the request has no body.
    pub(crate) fn accepted(end: bool) -> Self {
        Self::Open { local: Half::Head, remote: Half::Body }.remote_end_if(end)
    }

    /// A stream to a port of the client, which has not answered.
    pub(crate) fn asked() -> Self {
        Self::Open { local: Half::Head, remote: Half::Head }
    }

    /// The client has granted it.
    pub(crate) fn connected(&mut self) -> Result<(), Refused> {
        if *self != Self::asked() {
            return Err(Refused::SecondHead);
        }
        *self = Self::Open { local: Half::Body, remote: Half::Body };
        Ok(())
    }

    pub(crate) fn send_head(&mut self, end: bool) -> Result<(), Refused> {
        *self = self.with_local(step_head(self.local())?).local_end_if(end);
        Ok(())
    }

    pub(crate) fn send_data(&mut self, end: bool) -> Result<(), Refused> {
        step_data(self.local())?;
        *self = self.local_end_if(end);
        Ok(())
    }

    pub(crate) fn recv_head(&mut self, end: bool) -> Result<(), Refused> {
        *self = self.with_remote(step_head(self.remote())?).remote_end_if(end);
        Ok(())
    }

    pub(crate) fn recv_data(&mut self, end: bool) -> Result<(), Refused> {
        step_data(self.remote())?;
        *self = self.remote_end_if(end);
        Ok(())
    }

    pub(crate) fn is_closed(self) -> bool {
        self == Self::Closed
    }

    /// Whether our half has ended, from the program's point of view.
    pub(crate) fn is_sent(self) -> bool {
        self.local().is_none()
    }

    /// The peer's half has ended.
    pub(crate) fn is_received(self) -> bool {
        self.remote().is_none()
    }

    fn local(self) -> Option<Half> {
        match self {
            Self::Open { local, .. } | Self::HalfClosedRemote { local } => Some(local),
            Self::HalfClosedLocal { .. } | Self::Closed => None,
        }
    }

    fn remote(self) -> Option<Half> {
        match self {
            Self::Open { remote, .. } | Self::HalfClosedLocal { remote } => Some(remote),
            Self::HalfClosedRemote { .. } | Self::Closed => None,
        }
    }

    fn with_local(self, local: Half) -> Self {
        match self {
            Self::Open { remote, .. } => Self::Open { local, remote },
            Self::HalfClosedRemote { .. } => Self::HalfClosedRemote { local },
            over => over,
        }
    }

    fn with_remote(self, remote: Half) -> Self {
        match self {
            Self::Open { local, .. } => Self::Open { local, remote },
            Self::HalfClosedLocal { .. } => Self::HalfClosedLocal { remote },
            over => over,
        }
    }

    fn local_end_if(self, end: bool) -> Self {
        match self {
            Self::Open { remote, .. } if end => Self::HalfClosedLocal { remote },
            Self::HalfClosedRemote { .. } if end => Self::Closed,
            state => state,
        }
    }

    fn remote_end_if(self, end: bool) -> Self {
        match self {
            Self::Open { local, .. } if end => Self::HalfClosedRemote { local },
            Self::HalfClosedLocal { .. } if end => Self::Closed,
            state => state,
        }
    }
}

fn step_head(half: Option<Half>) -> Result<Half, Refused> {
    match half {
        Some(Half::Head) => Ok(Half::Body),
        Some(Half::Body) => Err(Refused::SecondHead),
        None => Err(Refused::AfterEnd),
    }
}

fn step_data(half: Option<Half>) -> Result<(), Refused> {
    match half {
        Some(Half::Body) => Ok(()),
        Some(Half::Head) => Err(Refused::BeforeHead),
        None => Err(Refused::AfterEnd),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// Every state x every move, refused ones included.
    #[test]
    fn the_whole_table() {
        use Half::{Body, Head};
        let states = [
            State::Open { local: Body, remote: Head },
            State::Open { local: Body, remote: Body },
            State::Open { local: Head, remote: Body },
            State::Open { local: Head, remote: Head },
            State::HalfClosedLocal { remote: Head },
            State::HalfClosedLocal { remote: Body },
            State::HalfClosedRemote { local: Head },
            State::HalfClosedRemote { local: Body },
            State::Closed,
        ];
        type Move = fn(&mut State, bool) -> Result<(), Refused>;
        let moves: [(&str, Move); 5] = [
            ("send head", State::send_head),
            ("send data", State::send_data),
            ("recv head", State::recv_head),
            ("recv data", State::recv_data),
            ("connected", |state, _| state.connected()),
        ];
        let mut table = String::new();
        for state in states {
            writeln!(table, "{state:?}").unwrap();
            for (name, step) in moves {
                let ends: &[bool] = if name == "connected" { &[false] } else { &[false, true] };
                for &end in ends {
                    let mut after = state;
                    let verdict = step(&mut after, end);
                    let fin = if end { "+FIN" } else { "" };
                    match verdict {
                        Ok(()) => writeln!(table, "  {name}{fin:4} -> {after:?}").unwrap(),
                        Err(why) => {
                            assert_eq!(state, after, "a refused move changes nothing");
                            writeln!(table, "  {name}{fin:4} refused: {why:?}").unwrap();
                        }
                    }
                }
            }
        }
        let kept = include_str!("state.table.txt");
        assert_eq!(table, kept, "the table has changed:\n{table}");
    }
}
