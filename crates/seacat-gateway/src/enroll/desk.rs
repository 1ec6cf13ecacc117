//! One connection's counter: takes its CSR, CERT_QUERY and CHARACTERISTICS frames one by one, and
//! answers each when the answer is on the disk.

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
use super::registrar::{Found, Registrar, Shown, Verdict};
use super::request::Request;
use crate::client_id::ClientId;

/// Frames that may wait while the disk works. A client has one CSR, one query and one set of
/// characteristics under way; the rest is for a disk that is slow.
const TRAY: usize = 16;

/// Hands frames of one connection to the task that answers them. Dropped, it ends the task.
pub(crate) struct Desk {
    tray: mpsc::Sender<Control>,
    requests: Bucket,
    questions: Bucket,
}

impl Desk {
    /// `shown`: the certificate that the connection has shown.
    pub(crate) fn open(
        link: Link,
        registrar: Arc<Registrar>,
        shown: Option<Shown>,
        address: IpAddr,
    ) -> Self {
        let (tray, frames) = mpsc::channel(TRAY);
        let (who, facts) = (None, None);
        let clerk = Clerk { link, registrar, shown, address, who, facts };
        tokio::spawn(clerk.work(frames).in_current_span());
        let now = Instant::now();
        Self {
            tray,
            // The reference client sends its CSR again after 20 s, ours after a minute; a few
            // more at once are somebody who corrects their name.
            requests: Bucket::new(4, Duration::from_secs(10), now),
            // The reference client asks every 10 s. An answer is a small file read, which the
            // disk can do a hundred times as often for a hundred clients.
            questions: Bucket::new(64, Duration::from_millis(100), now),
        }
    }

    /// Takes a frame. What comes too fast is not answered: clients send it again after a while.
    pub(crate) fn take(&mut self, control: Control) {
        let now = Instant::now();
        let in_time = match &control {
            Control::Csr(_) => self.requests.take(now),
            _ => self.questions.take(now),
        };
        if !in_time || self.tray.try_send(control).is_err() {
            debug!("a frame of enrolment came too fast");
        }
    }
}

/// Answers the frames of one connection.
struct Clerk {
    link: Link,
    registrar: Arc<Registrar>,
    shown: Option<Shown>,
    /// Where the client connects from.
    address: IpAddr,
    /// Who has sent a good CSR on this connection.
    who: Option<ClientId>,
    /// What the client has told about itself before we knew who it is.
    facts: Option<Facts>,
}

impl Clerk {
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

    /// Finds out where a client that is on record looks for the end of an answer.
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
        // A key that is given goes first: a client that has a new key may still use a connection
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
                        // "Not found" would make the client start all over again, and "pending"
                        // may not be true.
                        error!(%error, "a CERT_QUERY could not be answered");
                        return;
                    }
                }
            }
        };
        send(&self.link, &found.answers(query.id));
    }

    /// Stores what a client tells about itself. Acknowledged is what is stored; what we cannot
    /// attribute waits for a CSR, and a client that sends none tells us again another time.
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
            // CERT cannot say this: "not found" would make our client ask again.
            Self::Rejected => return Control::CsrReply(CsrReply { flags: CsrReply::REJECTED }),
        };
        Control::Cert(Cert { flags, id, certificate })
    }
}

impl Verdict {
    /// The CSR_REPLY. There is none for a passing condition: the reference client sends its CSR again
    /// after 20 s then, while a reply without flags makes it ask for a certificate that it is told
    /// does not exist, and that ends it for good (wire specification, section 1.8).
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

/// Lets so many through at once, and one more each time `every` has passed.
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
