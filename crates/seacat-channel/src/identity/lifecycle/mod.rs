//! The life of an identity: from no key to an enrolled installation that stays enrolled. Pure:
//! both clocks are arguments, and keys, files and frames are [`Action`]s that somebody else
//! performs, one after the other.

mod held;
mod words;

use std::time::{Duration, Instant};

use held::{FORGIVE, Held};
pub(crate) use held::{LOOK_AGAIN, Now, Validity};
pub(crate) use words::{Action, Input, LinkAuth, Mark, Opened, Verdict};

/// Between two CSRs, whatever happens. A gateway that answers everything wrong, or short-lived
/// certificates, cost one request a minute and no more.
pub(crate) const PACE: Duration = Duration::from_secs(60);

/// A CSR without a reply for this long is as good as lost (wire specification, section 1.3).
pub(crate) const REPLY_LIMIT: Duration = Duration::from_secs(20);

/// From one question for the certificate to the next (wire specification, section 1.3).
pub(crate) const POLL: Duration = Duration::from_secs(10);

/// A question without an answer for this long is asked again (wire specification, section 1.3).
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A request that has led nowhere for this long is submitted again: the gateway may have lost it
/// and not say so (wire specification, section 1.3: the whole procedure starts over).
pub(crate) const PATIENCE: Duration = Duration::from_secs(8 * 3600);

/// After a CSR, the next one may follow this soon when the gateway has lost a certificate that it had
/// confirmed: it was restored from a backup, or an administrator said `forget`.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// Requests that are denied make us ask the gateway about our certificate no more often than this.
pub(crate) const DENIED_PACE: Duration = Duration::from_secs(5);

/// What failed on this computer (the disk is full, the key store is locked) is tried again after
/// this time.
pub(crate) const HOLD: Duration = Duration::from_secs(60);

/// What is being done about the identity.
///
/// ```text
///              Missing           wanted          Made
///   Opening ────────────► NoKey ────────► Making ─────┐
///    ▲  │ ╲ Found                                     │
///    │  ▼  ╲────────────► the step in which the last  │
///   Locked                run ended                   │
///   (a key exists,                                    ▼             Installed
///    its store is silent)    ┌─────────────────────► Idle ◄──────────────────────── Installing
///                            │     no certificate     │                             │    ▲
///                            │     yet, renewal due,  ▼                             │    │
///                            │     expired, refused  Writing (a CSR)                │    │ CERT
///                            │                        │                             │    │ with a
///                            │  Wrong certificate,    ▼    pace        STORED       │    │ certificate
///                            │  not found, 8 h  ┌─► Ready ──────► Sent ──────► Waiting ⇄ Asked
///                            │                  │     ▲  no reply  │              │ poll  │
///                            │                  │     └────────────┘              │       │
///                            │                  └─────────────────────────────────┴───────┘
///                            │                                     │ REJECTED
///                          Imported                                ▼
///                                                               Rejected  (a human: Enroll)
///
///   Idle becomes Confirming after each connect, when a request is denied, and once an hour: the
///   gateway is asked for the certificate that we present. It hands out the same one: Idle,
///   confirmed. Another: Installing. It has none: Writing.
///   Enroll leads to Writing from wherever there is a key. Reset leads to Deleting, Deleted to
///   NoKey. Beside the step there is the certificate: while one is valid, connections present it,
///   whatever is being done about the next one.
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The key store and the files are being looked at.
    Opening,
    /// There is a key, and its store does not hand it out; asked again then.
    Locked { again: Instant },
    /// There is none.
    NoKey { hold: Option<Instant> },
    /// One is being made and stored.
    Making,
    /// There is nothing to do before the certificate must be renewed.
    Idle { hold: Option<Instant> },
    /// The gateway is being asked whether it knows the certificate.
    Confirming { until: Instant },
    /// A CSR is being made and stored.
    Writing,
    /// It waits for a connection and for its turn.
    Ready,
    /// It is on its way.
    Sent { until: Instant },
    /// The gateway has it. The next question is due then.
    Waiting { poll: Instant },
    /// A question for the certificate is on its way.
    Asked { until: Instant },
    /// The certificate that came is being checked and stored.
    Installing,
    /// The gateway said no; a human must act.
    Rejected,
    /// Key, CSR and certificate are being deleted.
    Deleting,
}

/// The machine. See [`Step`].
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    step: Step,
    certificate: Option<Held>,
    /// The gateway said that it knew nothing of us, and has not said otherwise since.
    forgotten: bool,
    /// What the connection to the gateway has presented, if there is one.
    link: Option<LinkAuth>,
    /// When the gateway was last asked on this connection whether it knows the certificate.
    checked: Option<Instant>,
    last_try: Option<Instant>,
    /// The gateway has said that it has the request.
    stored: bool,
    /// And that a certificate is there, or will be made when we ask.
    approved: bool,
    /// Since when the gateway has had the request.
    stored_since: Option<Instant>,
    /// Enrol without being asked.
    automatic: bool,
    /// A key is of use: the gateway is the preferred one, or was connected once.
    reached: bool,
    /// A human has asked.
    asked: bool,
}

impl Lifecycle {
    /// A machine that is [`Step::Opening`]; the first action is [`Action::Open`].
    pub(crate) fn new(automatic: bool) -> Self {
        Self {
            step: Step::Opening,
            certificate: None,
            forgotten: false,
            link: None,
            checked: None,
            last_try: None,
            stored: false,
            approved: false,
            stored_since: None,
            automatic,
            reached: true,
            asked: false,
        }
    }

    /// The same for a gateway that may never be needed: no key is made before it is connected.
    pub(crate) fn lazy(automatic: bool) -> Self {
        Self { reached: false, ..Self::new(automatic) }
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether the certificate's time is over.
    pub(crate) fn has_expired(&self, now: Now) -> bool {
        self.certificate.is_some_and(|it| it.is_expired(now))
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.certificate.is_some_and(|it| it.refused.is_some())
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Whether the request waits for the gateway's administrator.
    pub(crate) fn awaits_approval(&self) -> bool {
        self.stored && !self.approved
    }

    /// Whether the certificate gives us an identity, as far as the gateway has said.
    pub(crate) fn is_accepted(&self, now: Now) -> bool {
        self.presents(now) && self.certificate.is_some_and(|it| !it.unknown)
    }

    /// When the gateway last said that the certificate is ours.
    pub(crate) fn confirmed(&self) -> Option<Instant> {
        self.certificate?.confirmed
    }

    /// Whether a connection that begins now shows the certificate.
    pub(crate) fn presents(&self, now: Now) -> bool {
        self.certificate.is_some_and(|it| it.is_shown(now))
    }

    /// When [`Input::Timer`] is wanted.
    pub(crate) fn deadline(&self, now: Now) -> Option<Instant> {
        let step = match self.step {
            Step::Locked { again } => Some(again),
            Step::NoKey { hold } => hold,
            // Overdue when the clock was set and nothing has happened since.
            Step::Idle { hold } if self.needs_certificate(now) => Some(hold.unwrap_or(now.mono)),
            Step::Idle { .. } if self.can_confirm(now) => self.checked.map(|at| at + LOOK_AGAIN),
            Step::Ready if self.is_connected() => self.last_try.map(|it| it + PACE),
            Step::Waiting { poll } if self.is_connected() => {
                Some(self.patience().map_or(poll, |end| end.min(poll)))
            }
            Step::Sent { until } | Step::Asked { until } | Step::Confirming { until } => {
                Some(until)
            }
            _ => None,
        };
        let date = self.certificate.and_then(|it| it.next_look(now));
        // A clock that is wrong may be set right at any moment.
        let clock = self.certificate.filter(|it| it.refused.is_none() && it.is_expired(now));
        let clock = clock.filter(|_| self.is_connected()).map(|_| now.mono + POLL);
        step.into_iter().chain(date).chain(clock).chain(self.forgive_at()).min()
    }

    fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the gateway was presented a certificate that it can be asked about.
    fn can_confirm(&self, now: Now) -> bool {
        self.link == Some(LinkAuth::Certificate) && self.presents(now)
    }

    fn forgive_at(&self) -> Option<Instant> {
        let refused = self.certificate?.refused?;
        (!self.is_connected()).then_some(refused + FORGIVE)
    }

    fn patience(&self) -> Option<Instant> {
        self.stored_since.map(|it| it + PATIENCE)
    }

    /// Takes one step. The actions are to be performed in order.
    pub(crate) fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut actions = match input {
            Input::Opened(opened) => self.opened(opened, now),
            Input::Made(done) => self.made(done, now),
            Input::Written(done) => self.written(done, now),
            Input::LinkUp(auth) => self.link_up(auth, now),
            Input::LinkDown => self.link_down(now),
            Input::Reply(flags) => self.reply(flags, now),
            Input::Certificate => self.certificate_came(),
            Input::NotYet => self.not_yet(now),
            Input::NotFound => self.not_found(now),
            Input::Denied => self.denied(now),
            Input::Checked(verdict) => self.checked(verdict, now),
            Input::Refused => self.refuse(now),
            Input::Enroll => self.enroll(),
            Input::Imported(validity) => self.imported(validity, now),
            Input::Reset => self.reset(),
            Input::Deleted(done) => self.deleted(done, now),
            Input::Timer => Vec::new(),
        };
        self.move_on(now, &mut actions);
        actions
    }

    fn opened(&mut self, opened: Opened, now: Now) -> Vec<Action> {
        if self.step != Step::Opening {
            return Vec::new();
        }
        match opened {
            Opened::Missing => self.step = Step::NoKey { hold: None },
            Opened::Locked => {
                self.step = Step::Locked { again: now.mono + HOLD };
            }
            Opened::Found { certificate, mark, last_try } => {
                self.certificate = certificate.map(|validity| Held::found(validity, now));
                self.last_try = last_try;
                self.stored_since = Some(now.mono);
                self.stored = mark == Mark::Waiting;
                self.step = match mark {
                    // Asked while the store was silent.
                    _ if self.asked => Step::Idle { hold: None },
                    Mark::Idle => Step::Idle { hold: None },
                    Mark::Ready => Step::Ready,
                    Mark::Waiting => Step::Waiting { poll: now.mono },
                    Mark::Rejected => Step::Rejected,
                };
                if self.presents(now) {
                    return vec![Action::Reconnect];
                }
            }
        }
        Vec::new()
    }

    fn made(&mut self, done: bool, now: Now) -> Vec<Action> {
        if self.step == Step::Making {
            self.step = match done {
                true => Step::Idle { hold: None },
                false => Step::NoKey { hold: Some(now.mono + HOLD) },
            };
        }
        Vec::new()
    }

    fn written(&mut self, done: bool, now: Now) -> Vec<Action> {
        if self.step == Step::Writing {
            self.step = match done {
                true => Step::Ready,
                false => Step::Idle { hold: Some(now.mono + HOLD) },
            };
        }
        Vec::new()
    }

    fn link_up(&mut self, auth: LinkAuth, now: Now) -> Vec<Action> {
        self.link = Some(auth);
        self.reached = true;
        self.checked = None;
        if let Step::Waiting { .. } = self.step {
            self.step = Step::Waiting { poll: now.mono };
        }
        Vec::new()
    }

    /// What was on its way may not have arrived.
    fn link_down(&mut self, now: Now) -> Vec<Action> {
        self.link = None;
        self.checked = None;
        self.step = match self.step {
            Step::Confirming { .. } => Step::Idle { hold: None },
            Step::Sent { .. } => Step::Ready,
            Step::Asked { .. } => Step::Waiting { poll: now.mono },
            step => step,
        };
        Vec::new()
    }

    /// Wire specification, section 3.8.
    fn reply(&mut self, flags: u8, now: Now) -> Vec<Action> {
        use seacat_proto::frame::CsrReply;
        let asking =
            matches!(self.step, Step::Sent { .. } | Step::Waiting { .. } | Step::Asked { .. });
        if flags & CsrReply::REJECTED != 0
            && (asking || matches!(self.step, Step::Confirming { .. }))
        {
            self.step = Step::Rejected;
            self.checked = Some(now.mono);
            return vec![Action::Remember(Mark::Rejected)];
        }
        if !asking {
            return Vec::new();
        }
        let poll = match flags & (CsrReply::STORED | CsrReply::APPROVED) {
            // Approved, but not stored: its meaning is unknown, and after 20 s we ask again.
            CsrReply::APPROVED => return Vec::new(),
            CsrReply::STORED => now.mono + POLL,
            // Not stored: perhaps it has one of ours already.
            0 => now.mono + POLL,
            _ => now.mono,
        };
        let was_sent = matches!(self.step, Step::Sent { .. });
        self.approved = flags & CsrReply::APPROVED != 0;
        self.step = Step::Waiting { poll };
        if was_sent {
            self.stored_since = Some(now.mono);
        }
        match flags & CsrReply::STORED {
            0 => Vec::new(),
            _ => self.note_stored(was_sent),
        }
    }

    /// The gateway has the request. Noted on disk when that is news.
    fn note_stored(&mut self, was_sent: bool) -> Vec<Action> {
        let is_news = !self.stored || was_sent;
        self.stored = true;
        self.forgotten = false;
        if is_news { vec![Action::Remember(Mark::Waiting)] } else { Vec::new() }
    }

    fn certificate_came(&mut self) -> Vec<Action> {
        match self.step {
            Step::Waiting { .. }
            | Step::Asked { .. }
            | Step::Confirming { .. }
            | Step::Rejected => {
                self.step = Step::Installing;
                vec![Action::Install]
            }
            _ => Vec::new(),
        }
    }

    /// The gateway has a request of ours, and no certificate.
    fn not_yet(&mut self, now: Now) -> Vec<Action> {
        match self.step {
            Step::Asked { .. } => {
                self.step = Step::Waiting { poll: now.mono + POLL };
                self.note_stored(false)
            }
            Step::Confirming { .. } => {
                self.not_confirmed(now);
                Vec::new()
            }
            // An administrator has thought better of it.
            Step::Rejected => {
                self.step = Step::Ready;
                vec![Action::Remember(Mark::Ready)]
            }
            _ => Vec::new(),
        }
    }

    fn not_found(&mut self, now: Now) -> Vec<Action> {
        match self.step {
            Step::Waiting { .. } | Step::Asked { .. } => {
                // A request that was never stored is not forgotten.
                self.forgotten = self.stored;
                self.stored = false;
                self.step = Step::Ready;
                vec![Action::Remember(Mark::Ready)]
            }
            Step::Confirming { .. } => {
                self.forgotten = self.not_confirmed(now);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The gateway does not know the certificate that we present. Says whether that is believed;
    /// another certificate is asked for then.
    fn not_confirmed(&mut self, now: Now) -> bool {
        self.step = Step::Idle { hold: None };
        self.checked = Some(now.mono);
        let Some(held) = self.certificate.as_mut().filter(|it| it.should_be_known()) else {
            return false;
        };
        if held.confirmed.take().is_some() {
            self.last_try = self.last_try.and_then(|at| at.checked_sub(PACE - RECOVERY));
        }
        held.unknown = true;
        true
    }

    /// Perhaps the gateway has lost our certificate, or has just approved us.
    fn denied(&mut self, now: Now) -> Vec<Action> {
        if self.checked.is_some_and(|at| now.mono >= at + DENIED_PACE) {
            self.checked = None;
        }
        Vec::new()
    }

    fn checked(&mut self, verdict: Verdict, now: Now) -> Vec<Action> {
        if self.step != Step::Installing {
            return Vec::new();
        }
        self.step = match verdict {
            Verdict::Installed(validity) => return self.installed(validity, now),
            Verdict::Same(validity) => return self.same(validity, now),
            Verdict::NotStored => Step::Waiting { poll: now.mono + HOLD },
            Verdict::Wrong if self.is_well(now) => {
                self.not_confirmed(now);
                Step::Idle { hold: None }
            }
            Verdict::Wrong => Step::Ready,
        };
        Vec::new()
    }

    /// Some gateways issue another certificate whenever they are asked: what such a gateway has just
    /// issued is good, and no reason to move to a new connection.
    fn installed(&mut self, validity: Validity, now: Now) -> Vec<Action> {
        let needless =
            self.is_well(now) && self.certificate.is_some_and(|it| !it.should_be_known());
        self.take(validity, now);
        if needless {
            self.checked = Some(now.mono);
            return Vec::new();
        }
        vec![Action::Reconnect]
    }

    /// There is a certificate, and no reason to ask for another.
    fn is_well(&self, now: Now) -> bool {
        !self.asked && self.certificate.is_some_and(|it| !it.must_be_replaced(now))
    }

    /// The gateway has handed out the certificate that we have.
    fn same(&mut self, validity: Validity, now: Now) -> Vec<Action> {
        let Some(held) = self.certificate else {
            return Vec::new();
        };
        let stood_by = held.refused.is_some()
            || held.unknown
            // It is approved and handed out now: it is our clock that is wrong.
            || (self.approved && held.is_expired(now));
        let due = held.is_renewal_due(now);
        if stood_by {
            self.take(validity, now);
        } else if due || self.asked {
            // The next one is not ready.
            self.step = Step::Waiting { poll: now.mono + POLL };
            return Vec::new();
        }
        self.step = Step::Idle { hold: None };
        self.checked = Some(now.mono);
        self.certificate.iter_mut().for_each(|it| it.confirmed = Some(now.mono));
        if stood_by { vec![Action::Reconnect] } else { Vec::new() }
    }

    fn imported(&mut self, validity: Validity, now: Now) -> Vec<Action> {
        self.take(validity, now);
        vec![Action::Reconnect]
    }

    fn take(&mut self, validity: Validity, now: Now) {
        self.certificate = Some(Held::issued(validity, now));
        self.forgotten = false;
        self.stored = false;
        self.asked = false;
        self.step = Step::Idle { hold: None };
    }

    /// From now on anonymous, until there is another certificate. This one is kept: the gateway may
    /// come back to it.
    fn refuse(&mut self, now: Now) -> Vec<Action> {
        match &mut self.certificate {
            Some(held) if held.refused.is_none() => {
                held.refused = Some(now.mono);
                if let Step::Confirming { .. } = self.step {
                    self.step = Step::Idle { hold: None };
                }
                vec![Action::Reconnect]
            }
            _ => Vec::new(),
        }
    }

    fn enroll(&mut self) -> Vec<Action> {
        self.asked = true;
        match self.step {
            Step::NoKey { .. } => {
                self.step = Step::NoKey { hold: None };
                Vec::new()
            }
            // Remembered for when there is a key, or under way already.
            Step::Opening
            | Step::Locked { .. }
            | Step::Making
            | Step::Deleting
            | Step::Writing
            | Step::Installing => Vec::new(),
            Step::Idle { .. }
            | Step::Confirming { .. }
            | Step::Ready
            | Step::Sent { .. }
            | Step::Waiting { .. }
            | Step::Asked { .. }
            | Step::Rejected => {
                self.step = Step::Writing;
                vec![Action::WriteCsr]
            }
        }
    }

    fn reset(&mut self) -> Vec<Action> {
        if self.step == Step::Deleting {
            return Vec::new();
        }
        // The connection and the pace outlive the identity.
        let Self { link, last_try, automatic, reached, .. } = *self;
        *self = Self { link, last_try, reached, ..Self::new(automatic) };
        self.step = Step::Deleting;
        vec![Action::Delete]
    }

    /// What could not be deleted is still there, and looked at again.
    fn deleted(&mut self, done: bool, now: Now) -> Vec<Action> {
        if self.step != Step::Deleting {
            return Vec::new();
        }
        if done {
            self.step = Step::NoKey { hold: None };
        } else {
            self.step = Step::Locked { again: now.mono + HOLD };
        }
        vec![Action::Reconnect]
    }

    /// Does what time, and the connection, allow by now.
    fn move_on(&mut self, now: Now, actions: &mut Vec<Action>) {
        let due = |at: Option<Instant>| at.is_none_or(|at| now.mono >= at);
        if self.forgive_at().is_some_and(|at| due(Some(at)))
            && let Some(held) = &mut self.certificate
        {
            held.refused = None;
            actions.push(Action::Reconnect);
        }
        match self.step {
            Step::Sent { until } if due(Some(until)) => self.step = Step::Ready,
            Step::Confirming { until } if due(Some(until)) => {
                self.step = Step::Idle { hold: None };
                self.checked = Some(now.mono);
            }
            Step::Asked { until } if due(Some(until)) => {
                self.step = Step::Waiting { poll: now.mono };
            }
            _ => {}
        }
        self.drop_needless_request(now, actions);
        if self.link == Some(LinkAuth::Nothing) && self.presents(now) {
            // Once for each connection.
            self.link = Some(LinkAuth::Declined);
            if !actions.contains(&Action::Reconnect) {
                actions.push(Action::Reconnect);
            }
        }
        if let Step::Waiting { .. } = self.step
            && self.is_connected()
            && self.patience().is_some_and(|end| now.mono >= end)
        {
            self.step = Step::Ready;
        }
        match self.step {
            Step::Locked { again } if due(Some(again)) => {
                self.step = Step::Opening;
                actions.push(Action::Open);
            }
            Step::NoKey { hold } if due(hold) && (self.automatic && self.reached || self.asked) => {
                self.step = Step::Making;
                actions.push(Action::MakeKey);
            }
            Step::Idle { hold } if due(hold) && self.needs_certificate(now) => {
                self.step = Step::Writing;
                actions.push(Action::WriteCsr);
            }
            Step::Idle { .. } if self.can_confirm(now) && self.may_ask(now) => {
                self.step = Step::Confirming { until: now.mono + ANSWER_LIMIT };
                self.checked = Some(now.mono);
                actions.push(Action::Query);
            }
            Step::Rejected if self.is_connected() && self.checked.is_none() => {
                self.checked = Some(now.mono);
                actions.push(Action::Query);
            }
            Step::Ready if self.is_connected() && due(self.last_try.map(|it| it + PACE)) => {
                self.last_try = Some(now.mono);
                (self.stored, self.approved) = (false, false);
                self.step = Step::Sent { until: now.mono + REPLY_LIMIT };
                actions.push(Action::Remember(Mark::Ready));
                actions.push(Action::SendCsr);
            }
            Step::Waiting { poll } if self.is_connected() && due(Some(poll)) => {
                self.step = Step::Asked { until: now.mono + ANSWER_LIMIT };
                actions.push(Action::Query);
            }
            _ => {}
        }
    }

    /// The time to ask whether the gateway knows the certificate: once for each connection, and
    /// every hour.
    fn may_ask(&self, now: Now) -> bool {
        self.checked.is_none_or(|at| now.mono >= at + LOOK_AGAIN)
    }

    /// A request that was made only because the clock was wrong leads nowhere: the gateway has
    /// nothing newer for us.
    fn drop_needless_request(&mut self, now: Now, actions: &mut Vec<Action>) {
        let requesting = matches!(
            self.step,
            Step::Ready | Step::Sent { .. } | Step::Waiting { .. } | Step::Asked { .. }
        );
        if requesting && self.is_well(now) {
            self.step = Step::Idle { hold: None };
            actions.push(Action::Remember(Mark::Idle));
        }
    }

    fn needs_certificate(&self, now: Now) -> bool {
        match self.certificate {
            None => self.automatic || self.asked,
            Some(it) => self.asked || it.must_be_replaced(now),
        }
    }
}

#[cfg(test)]
mod decade_tests;
#[cfg(test)]
mod tests;
