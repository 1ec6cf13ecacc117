//! Enrolment on one connection: handles its CSR, CERT_QUERY and CHARACTERISTICS frames one by one,
//! and answers each when the change is durable.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use seacat_link::Link;
use seacat_proto::frame::{Cert, CertQuery, Characteristics, CharacteristicsAck, Csr, CsrReply};
use seacat_proto::{Bytes, Control};
use tokio::sync::mpsc;
use tracing::{Instrument, debug, error, info};

use super::platform;
use super::record::Facts;
use super::registrar::{Found, PresentedCertificate, Registrar, Verdict};
use super::request::Request;
use crate::client_id::ClientId;

/// Frames that may wait for the disk. A client has one CSR, one query and one set of
/// characteristics outstanding; the rest allows for a slow disk.
const TRAY: usize = 16;

/// Passes the frames of one connection to the task that answers them. Dropping it ends the task.
pub(crate) struct EnrollmentSession {
    tray: mpsc::Sender<Control>,
    requests: Bucket,
    questions: Bucket,
}

impl EnrollmentSession {
    /// `shown`: the certificate that the connection has presented.
    pub(crate) fn open(
        link: Link,
        registrar: Arc<Registrar>,
        shown: Option<PresentedCertificate>,
        address: IpAddr,
    ) -> Self {
        let (tray, frames) = mpsc::channel(TRAY);
        let (who, facts) = (None, None);
        let task = EnrollmentTask { link, registrar, shown, address, who, facts };
        tokio::spawn(task.work(frames).in_current_span());
        let now = Instant::now();
        Self {
            tray,
            // The reference client sends its CSR again after 20 s, ours after a minute; a few more
            // at once allow for a user who corrects the subject.
            requests: Bucket::new(4, Duration::from_secs(10), now),
            // The reference client queries every 10 s. An answer is one small file read, so this
            // rate is affordable for a hundred clients at once.
            questions: Bucket::new(64, Duration::from_millis(100), now),
        }
    }

    /// Accepts a frame. Frames beyond the rate are not answered: clients send them again later.
    pub(crate) fn take(&mut self, control: Control) {
        let now = Instant::now();
        let in_time = match &control {
            Control::Csr(_) => self.requests.take(now),
            _ => self.questions.take(now),
        };
        if !in_time || self.tray.try_send(control).is_err() {
            debug!("an enrolment frame exceeded the rate and was dropped");
        }
    }
}

/// Answers the frames of one connection.
struct EnrollmentTask {
    link: Link,
    registrar: Arc<Registrar>,
    shown: Option<PresentedCertificate>,
    /// The client's address.
    address: IpAddr,
    /// The client that has sent a valid CSR on this connection.
    who: Option<ClientId>,
    /// Characteristics that were received before the client was known.
    facts: Option<Facts>,
}

impl EnrollmentTask {
    async fn work(mut self, mut frames: mpsc::Receiver<Control>) {
        self.recognise().await;
        while let Some(frame) = frames.recv().await {
            match frame {
                Control::Csr(csr) => {
                    let reply = self.csr(csr).await.reply();
                    reply.iter().for_each(|reply| send(&self.link, reply));
                }
                Control::CertQuery(query) => self.cert_query(query).await,
                Control::Characteristics(facts) => self.characteristics(&facts).await,
                _ => {}
            }
        }
    }

    /// Determines whether a client on record accepts FIN on SYN_REPLY.
    async fn recognise(&self) {
        let Some(id) = self.shown.as_ref().map(|it| it.id) else { return };
        let known = self.registrar.beside(move |it| it.store().read(&id)).await;
        if let Ok(Some(record)) = known
            && platform::record_ends_on_head(&record)
        {
            self.link.end_on_head();
        }
    }

    async fn csr(&mut self, csr: Csr) -> Verdict {
        let (shown, facts) = (self.shown.clone(), self.facts.clone());
        let serial = facts.as_ref().map(|it| it.serial);
        let address = self.address;
        let link = self.link.clone();
        let work = move |registrar: &Registrar| {
            let request = match Request::parse(&csr.der) {
                Ok(request) => request,
                Err(bad) => {
                    info!(%bad, "a CSR was rejected");
                    return Ok((Verdict::Rejected, None));
                }
            };
            let label = request.about.application.as_deref();
            if platform::ends_on_head(label.and_then(platform::of_label)) {
                link.end_on_head();
            }
            let now = SystemTime::now();
            let verdict =
                registrar.submit(&request, shown.as_ref(), facts.as_ref(), address, now)?;
            Ok((verdict, Some(request.id)))
        };
        match self.registrar.in_turn(work).await {
            Ok((verdict, who)) => {
                let stored = matches!(verdict, Verdict::Stored | Verdict::Approved);
                if stored && who.is_some() {
                    self.who = who;
                    self.facts = None;
                    serial.into_iter().for_each(|serial| self.acknowledge(serial));
                }
                verdict
            }
            Err(error) => {
                error!(%error, "a CSR was not stored");
                Verdict::NotStored
            }
        }
    }

    async fn cert_query(&self, query: CertQuery) {
        // A key in the query takes precedence: a client with a new key may still use a connection
        // with the certificate of the old one.
        let id = match (&self.shown, query.public_key.is_empty()) {
            _ if query.query != CertQuery::MINE => None,
            (_, false) => Some(ClientId::of_key(&query.public_key)),
            (Some(shown), true) => Some(shown.id),
            (None, true) => None,
        };
        let found = match id {
            None => Found::Nothing,
            Some(id) => {
                let asking = move |it: &Registrar| it.query(&id, SystemTime::now());
                match self.registrar.in_turn(asking).await {
                    Ok(found) => found,
                    Err(error) => {
                        // "Not found" would make the client start again, and "pending" may not be
                        // true.
                        error!(%error, "a CERT_QUERY could not be answered");
                        return;
                    }
                }
            }
        };
        send(&self.link, &found.answers(query.id));
    }

    /// Stores a client's characteristics and acknowledges them. Characteristics of an unknown
    /// client wait for its CSR; without one they are not acknowledged, and the client sends them
    /// again.
    async fn characteristics(&mut self, frame: &Characteristics) {
        let facts = Facts::from(frame);
        if platform::ends_on_head(platform::of_facts(&facts)) {
            self.link.end_on_head();
        }
        let known = self.who.or(self.shown.as_ref().map(|it| it.id));
        let stored = match known {
            None => Ok(false),
            Some(id) => {
                let facts = facts.clone();
                self.registrar.in_turn(move |it| it.note(&id, facts)).await
            }
        };
        match stored {
            Ok(true) => self.acknowledge(frame.serial),
            Ok(false) => self.facts = Some(facts),
            Err(error) => error!(%error, "characteristics were not stored"),
        }
    }

    fn acknowledge(&self, serial: u32) {
        let ack = CharacteristicsAck { serial };
        send(&self.link, &Control::CharacteristicsAck(ack));
    }
}

impl Found {
    /// As an answer to the query with this number.
    fn answers(self, id: u16) -> Control {
        let (flags, certificate) = match self {
            Self::Certificate(der) => (0, der.into()),
            Self::Pending => (0, Bytes::new()),
            Self::Nothing => (Cert::NOT_FOUND, Bytes::new()),
            // CERT has no flag for this: "not found" would make our client submit again.
            Self::Rejected => return Control::CsrReply(CsrReply { flags: CsrReply::REJECTED }),
        };
        Control::Cert(Cert { flags, id, certificate })
    }
}

impl Verdict {
    /// The CSR_REPLY. There is none for a temporary condition: the reference client then sends its
    /// CSR again after 20 s. A reply without flags would make it query a certificate that does not
    /// exist, and that stops it permanently (wire specification, section 1.8).
    fn reply(self) -> Option<Control> {
        let flags = match self {
            Self::Stored => CsrReply::STORED,
            Self::Approved => CsrReply::STORED | CsrReply::APPROVED,
            Self::Rejected => CsrReply::REJECTED,
            Self::NotStored => return None,
        };
        Some(Control::CsrReply(CsrReply { flags }))
    }
}

fn send(link: &Link, control: &Control) {
    if let Err(error) = link.control(control) {
        // Requests are bounded so that their certificates fit.
        error!(%error, "an answer did not fit into a frame");
    }
}

/// A token bucket: admits a burst, and one more each time `every` has passed.
#[derive(Debug)]
struct Bucket {
    /// When it would be full again.
    full: Instant,
    size: u32,
    every: Duration,
}

impl Bucket {
    fn new(size: u32, every: Duration, now: Instant) -> Self {
        Self { full: now, size, every }
    }

    fn take(&mut self, now: Instant) -> bool {
        let full = self.full.max(now) + self.every;
        let fits = full - now <= self.every * self.size;
        if fits {
            self.full = full;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_through_what_it_says() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, Duration::from_secs(10), start);
        // (second, let through)
        let cases = [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (9, false),
            (10, true),
            (10, false),
            (29, true),
            (30, true),
            (30, false),
            (1000, true),
            (1000, true),
            (1000, true),
            (1000, false),
        ];
        for (second, expected) in cases {
            let now = start + Duration::from_secs(second);
            assert_eq!(bucket.take(now), expected, "{second} s");
        }
    }
}
