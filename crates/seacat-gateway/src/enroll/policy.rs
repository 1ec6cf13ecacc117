//! The decision about a signing request.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::record::{Record, State};

/// How requests of unknown clients are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Approved at once: for networks where every client that can connect may use the gateway.
    Automatic,
    /// Waits for an administrator.
    #[default]
    Pending,
    /// Rejected.
    Reject,
}

/// The rules of enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How requests of unknown clients are handled.
    pub mode: Mode,
    /// The lifetime of a certificate.
    pub validity: Duration,
    /// A client with a valid certificate is issued the next one without an administrator.
    pub auto_renew: bool,
    /// The same for a client with an expired certificate. Off by default, because a machine that
    /// was offline for so long may have changed hands (the reference CA has it off too; wire
    /// specification, section 5.3).
    pub auto_renew_expired: bool,
    /// Requests that may wait for an administrator: more than one person reads in a day, and few
    /// enough that requests of strangers cannot hide the others.
    pub max_pending: usize,
    /// How long a request may wait for an administrator. A client that is still interested asks
    /// again.
    pub pending_expiry: Duration,
    /// How soon after one certificate a client may have the next, where certificates live for less
    /// than [`Policy::REFERENCE_RENEWAL`]. A client of the reference era renews there without a pause,
    /// five times a second (measured), and each is signed and stored. What comes sooner is not
    /// answered, and sent again after 20 s.
    pub reissue_pause: Duration,
    /// Clients on record in all. One is a file of a few KiB, so this bounds the disk.
    pub max_clients: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            validity: Duration::from_secs(365 * 86_400),
            auto_renew: true,
            auto_renew_expired: false,
            max_pending: 1000,
            pending_expiry: Duration::from_secs(7 * 86_400),
            reissue_pause: Duration::from_secs(10),
            max_clients: 100_000,
        }
    }
}

/// What to do with a request whose signature is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Make a certificate now.
    Issue,
    /// There is a certificate, or an approval: the client only has to query it.
    Ready,
    /// An administrator decides.
    Wait,
    /// No.
    Reject,
}

impl Policy {
    /// A client of the reference era renews when its certificate has less than this left.
    pub const REFERENCE_RENEWAL: Duration = Duration::from_secs(30 * 86_400);

    /// Decides. `shown`: the connection has presented a certificate of this client that is on the
    /// allow-list, so the request comes from the client and is not a replay.
    pub(crate) fn decide(&self, record: Option<&Record>, shown: bool, now: SystemTime) -> Decision {
        let by_mode = match self.mode {
            Mode::Automatic => Decision::Issue,
            Mode::Pending => Decision::Wait,
            Mode::Reject => Decision::Reject,
        };
        let Some(record) = record else {
            return by_mode;
        };
        match record.state() {
            State::Rejected => Decision::Reject,
            // In every mode: the administrator who revoked its certificates decides about new ones.
            State::Revoked => Decision::Wait,
            State::Approved => Decision::Ready,
            // It was accepted in another mode, and an administrator may be deciding about it.
            State::Pending if self.mode == Mode::Reject => Decision::Wait,
            State::Pending => by_mode,
            State::Issued => match record.current(now) {
                None if self.auto_renew_expired => Decision::Issue,
                None => by_mode,
                // A replayed request must not displace the client's own certificates from the list.
                // This holds, because a new one is issued only after half of the lifetime.
                Some(current) if !shown && !current.is_aging(now) => Decision::Ready,
                Some(_) if self.auto_renew => Decision::Issue,
                Some(_) => by_mode,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::enroll::ca::Certificate;

    /// The whole table: every mode, every state, with and without a presented certificate.
    #[test]
    fn the_whole_table() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let issued = |age: u64, left: i64| {
            let mut record = Record::new(b"csr", now);
            let certificate = Certificate {
                der: Vec::new(),
                from: now - Duration::from_secs(age),
                until: match u64::try_from(left) {
                    Ok(left) => now + Duration::from_secs(left),
                    Err(_) => now - Duration::from_secs(left.unsigned_abs()),
                },
            };
            record.issue(b"csr".to_vec(), certificate, now);
            Some(record)
        };
        let become_ = |change: fn(&mut Record, SystemTime)| {
            let mut record = Record::new(b"csr", now);
            change(&mut record, now);
            Some(record)
        };
        let records = [
            ("unknown", None),
            ("pending", become_(|_, _| {})),
            ("approved", become_(|it, now| it.approve(now).unwrap())),
            ("rejected", become_(|it, now| it.reject(now).unwrap())),
            ("revoked", become_(|it, now| it.revoke(now).unwrap())),
            ("issued, young", issued(10, 90)),
            ("issued, aging", issued(60, 40)),
            ("issued, over", issued(100, -1)),
        ];
        let mut table = String::new();
        for mode in [Mode::Automatic, Mode::Pending, Mode::Reject] {
            for renew in ["no", "yes", "expired too"] {
                writeln!(table, "\nmode {mode:?}, automatic renewal: {renew}").unwrap();
                let policy = Policy {
                    mode,
                    auto_renew: renew != "no",
                    auto_renew_expired: renew == "expired too",
                    ..Policy::default()
                };
                for (name, record) in &records {
                    let decide = |shown| policy.decide(record.as_ref(), shown, now);
                    let (anonymous, shown) = (decide(false), decide(true));
                    writeln!(
                        table,
                        "  {name:14} anonymous: {:7} identified: {shown:?}",
                        format!("{anonymous:?}"),
                    )
                    .unwrap();
                }
            }
        }
        // After an intended change: SEACAT_BLESS=1 cargo test -p seacat-gateway the_whole_table
        if std::env::var_os("SEACAT_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/enroll/policy.table.txt");
            std::fs::write(path, &table).unwrap();
        }
        assert_eq!(table, include_str!("policy.table.txt"));
    }
}
