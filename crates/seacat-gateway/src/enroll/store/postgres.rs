//! Records as rows of a PostgreSQL database, shared by the gateways of one company.
//!
//! ```text
//!   a change   BEGIN, advisory lock of the client, SELECT, decide, UPSERT, NOTIFY, COMMIT
//!   a watch    LISTEN on a connection of its own; every gateway is notified of every change
//! ```
//!
//! Each gateway has a copy of the records it has read. While the database cannot be reached, the
//! copy is used, so enrolled clients keep working; changes fail, and their clients ask again.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::{Client, Config};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{Records, StoreError, Watch};
use crate::client_id::ClientId;
use crate::enroll::record::Record;
use crate::pki;

/// The schema's history: what brings version N to N + 1. Entries are only ever added.
const MIGRATIONS: &[&str] = &["CREATE TABLE seacat_gateway.client (
    id text PRIMARY KEY,
    record jsonb NOT NULL,
    changed timestamptz NOT NULL DEFAULT now()
)"];

/// The first key of every advisory lock: "SeaC".
const LOCK: i32 = 0x5365_6143;
/// The second key while the schema is changed. The locks of clients use hashes of their ids.
const SCHEMA: i32 = 0;
const CHANNEL: &str = "seacat_gateway_client";

/// A database on the same network accepts a connection within this time, or it is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection without an answer for this long is lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call waits for a change. A gateway that stops waits for it to end.
const LOOK: Duration = Duration::from_millis(500);
/// Between two attempts to reach a database that is down.
const RETRY: Duration = Duration::from_secs(1);

/// How to reach the database.
#[derive(Clone)]
pub struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its `Debug` omits the password.
        self.config.fmt(f)
    }
}

/// Why the settings of a database are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabase {
    /// The URL cannot be read.
    #[error("not a PostgreSQL URL: {0}")]
    Url(String),
    /// The URL holds a password.
    #[error("the URL must not hold a password: write it into a file and set `store_password_file`")]
    PasswordInUrl,
    /// TLS is switched off for a database on another machine.
    #[error("sslmode=disable is allowed for a database on this machine only")]
    NoTls,
    /// The CA file cannot be used.
    #[error("`store_ca_file`: {0}")]
    Ca(String),
}

impl Postgres {
    /// The database at `url` (`postgres://user@host/name`). A connection to another machine uses
    /// TLS, and the server's certificate must be issued by the CA in `ca` (PEM), or by a public
    /// CA when that is `None`. A database on this machine is reached without TLS unless the URL
    /// says `sslmode=require`.
    ///
    /// # Errors
    /// [`InvalidDatabase`].
    pub fn new(
        url: &str,
        password: Option<&Zeroizing<Vec<u8>>>,
        ca: Option<&[u8]>,
    ) -> Result<Self, InvalidDatabase> {
        let mut config: Config =
            url.parse().map_err(|error| InvalidDatabase::Url(cause(&error)))?;
        if config.get_password().is_some() {
            return Err(InvalidDatabase::PasswordInUrl);
        }
        if let Some(password) = password {
            config.password(password.as_slice());
        }
        let local = config.get_hosts().iter().all(is_local);
        match (local, config.get_ssl_mode()) {
            (true, SslMode::Prefer) => config.ssl_mode(SslMode::Disable),
            (false, SslMode::Disable) => return Err(InvalidDatabase::NoTls),
            (false, _) => config.ssl_mode(SslMode::Require),
            (true, _) => &mut config,
        };
        config
            .application_name("seacat-gateway")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(ANSWER_TIMEOUT)
            .keepalives_idle(ANSWER_TIMEOUT)
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(3);
        Ok(Self { config, tls: tls(ca)? })
    }

    /// Connects, and creates the tables or brings them up to date.
    pub(super) fn open(&self) -> Result<Rows, StoreError> {
        let mut connection = self.connect()?;
        migrate(&mut connection)?;
        Ok(Rows(Arc::new(Database {
            settings: self.clone(),
            connection: Mutex::new(Some(connection)),
            reachable: AtomicBool::new(true),
            copy: Mutex::default(),
        })))
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let mut connection = Connection(Some(self.config.connect(self.tls.clone())?));
        // Only a statement that waits for a lock takes this long.
        let limit = format!("SET statement_timeout = {}", ANSWER_TIMEOUT.as_millis());
        connection.batch_execute(&limit)?;
        Ok(connection)
    }
}

/// A connection to the database, which may be dropped on any thread.
struct Connection(Option<Client>);

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.0.as_ref().expect("present until it is dropped")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        self.0.as_mut().expect("present until it is dropped")
    }
}

impl Drop for Connection {
    /// Closes it on another thread: the client blocks while it closes, and panics when the thread
    /// belongs to a runtime.
    fn drop(&mut self) {
        let client = self.0.take();
        let closing = std::thread::Builder::new().spawn(move || drop(client));
        // Without a thread the connection ends with the process.
        drop(closing);
    }
}

/// Whether a connection to this host stays on this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn tls(ca: Option<&[u8]>) -> Result<MakeRustlsConnect, InvalidDatabase> {
    let unusable = |error: &dyn fmt::Display| InvalidDatabase::Ca(error.to_string());
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in pki::certificates(pem).map_err(|error| unusable(&error))? {
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&LOCK, &SCHEMA])?;
    // Checked first, because CREATE SCHEMA IF NOT EXISTS requires the CREATE privilege even if the
    // schema exists.
    let exists: bool = transaction
        .query_one("SELECT to_regclass('seacat_gateway.version') IS NOT NULL", &[])?
        .get(0);
    if !exists {
        transaction.batch_execute(
            "CREATE SCHEMA IF NOT EXISTS seacat_gateway;
             CREATE TABLE seacat_gateway.version (number int NOT NULL)",
        )?;
    }
    let count = "SELECT coalesce(max(number), 0) FROM seacat_gateway.version";
    let version: i32 = transaction.query_one(count, &[])?.get(0);
    let newer = || StoreError::Database("its tables were written by a newer gateway".to_owned());
    let done = usize::try_from(version).map_err(|_| newer())?;
    for (number, migration) in (version + 1..).zip(MIGRATIONS.get(done..).ok_or_else(newer)?) {
        transaction.batch_execute(migration)?;
        transaction.execute("INSERT INTO seacat_gateway.version VALUES ($1)", &[&number])?;
    }
    Ok(transaction.commit()?)
}

/// The records in the database.
#[derive(Debug)]
pub(super) struct Rows(Arc<Database>);

struct Database {
    settings: Postgres,
    /// For all queries and changes, one after the other.
    connection: Mutex<Option<Connection>>,
    /// Cleared by the watch while it cannot connect. Queries are then answered from the copy at
    /// once instead of waiting for a connection attempt each.
    reachable: AtomicBool,
    /// The last known version of each record. As large as the table.
    copy: Mutex<HashMap<ClientId, Record>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Database {
    /// Runs `work` on a connection that has just answered.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !self.reachable.load(Ordering::Relaxed) {
            return Err(StoreError::Database("it cannot be reached".to_owned()));
        }
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: a connection that fails this check is closed.
        let kept =
            slot.take().and_then(|mut kept| kept.is_valid(ANSWER_TIMEOUT).is_ok().then_some(kept));
        let connection = match kept {
            Some(kept) => kept,
            None => self.settings.connect()?,
        };
        work(slot.insert(connection))
    }

    fn copy(&self) -> MutexGuard<'_, HashMap<ClientId, Record>> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, id: &ClientId, record: Option<&Record>) {
        match record {
            Some(record) => self.copy().insert(*id, record.clone()),
            None => self.copy().remove(id),
        };
    }
}

impl Records for Rows {
    fn ids(&self) -> Result<Vec<ClientId>, StoreError> {
        self.0.with(ids)
    }

    fn read(&self, id: &ClientId) -> Result<Option<Record>, StoreError> {
        let Self(database) = self;
        let asked = database.with(|client| {
            let question = "SELECT record::text FROM seacat_gateway.client WHERE id = $1";
            let row = client.query_opt(question, &[&id.to_string()])?;
            row.map(|row| parse(id, row.get(0))).transpose()
        });
        match asked {
            Ok(record) => {
                database.remember(id, record.as_ref());
                Ok(record)
            }
            // A client that is not in the copy may still be in the database, so it is not
            // "unknown".
            Err(error @ StoreError::Database(_)) => {
                database.copy().get(id).cloned().map(Some).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    fn update(
        &self,
        id: &ClientId,
        change: &mut dyn FnMut(&mut Option<Record>),
    ) -> Result<Option<Record>, StoreError> {
        let Self(database) = self;
        let key = id.to_string();
        let after = database.with(|client| {
            let mut transaction = client.transaction()?;
            // A row that is not there yet cannot be locked.
            let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
            transaction.execute(lock, &[&LOCK, &key])?;
            let question = "SELECT record::text FROM seacat_gateway.client WHERE id = $1";
            let row = transaction.query_opt(question, &[&key])?;
            let before = row.map(|row| parse(id, row.get(0))).transpose()?;
            let mut after = before.clone();
            change(&mut after);
            if after != before {
                match &after {
                    Some(record) => {
                        let json = serde_json::to_string(record).map_err(std::io::Error::other)?;
                        let upsert = "INSERT INTO seacat_gateway.client (id, record)
                            VALUES ($1, $2::text::jsonb) ON CONFLICT (id)
                            DO UPDATE SET record = excluded.record, changed = now()";
                        transaction.execute(upsert, &[&key, &json])?;
                    }
                    None => {
                        let delete = "DELETE FROM seacat_gateway.client WHERE id = $1";
                        transaction.execute(delete, &[&key])?;
                    }
                }
                transaction.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &key])?;
            }
            transaction.commit()?;
            Ok(after)
        })?;
        database.remember(id, after.as_ref());
        Ok(after)
    }

    fn watch(&self) -> Box<dyn Watch> {
        let database = Arc::clone(&self.0);
        Box::new(Listener { database, connection: None, again: Vec::new() })
    }
}

fn ids(client: &mut Client) -> Result<Vec<ClientId>, StoreError> {
    let rows = client.query("SELECT id FROM seacat_gateway.client", &[])?;
    Ok(rows.iter().filter_map(|row| row.get::<_, &str>(0).parse().ok()).collect())
}

fn parse(id: &ClientId, json: &str) -> Result<Record, StoreError> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::Damaged { id: *id, what: error.to_string() })
}

/// Receives the notifications of all changes.
struct Listener {
    database: Arc<Database>,
    connection: Option<Connection>,
    /// Clients to report again.
    again: Vec<ClientId>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.database.fmt(f)
    }
}

impl Listener {
    /// Begins to listen and returns all clients: changes may have been missed.
    fn listen(&mut self) -> Result<Vec<ClientId>, StoreError> {
        let mut connection = self.database.settings.connect()?;
        connection.batch_execute(&format!("LISTEN {CHANNEL}"))?;
        let mut found = ids(&mut connection)?;
        // Those that were removed meanwhile are in the copy alone.
        found.extend(self.database.copy().keys().copied());
        found.sort_unstable();
        found.dedup();
        self.connection = Some(connection);
        if !self.database.reachable.swap(true, Ordering::Relaxed) {
            info!("the client database is reachable again");
        }
        Ok(found)
    }

    fn receive(client: &mut Client, found: &mut Vec<ClientId>) -> Result<(), postgres::Error> {
        let mut take =
            |one: postgres::Notification| found.extend(one.payload().parse::<ClientId>());
        let mut notifications = client.notifications();
        if let Some(first) = notifications.timeout_iter(LOOK).next()? {
            take(first);
        }
        while let Some(more) = notifications.iter().next()? {
            take(more);
        }
        drop(notifications);
        client.check_connection()
    }
}

impl Watch for Listener {
    fn changed(&mut self) -> Result<Option<Vec<ClientId>>, StoreError> {
        let mut found = std::mem::take(&mut self.again);
        let listening = match &mut self.connection {
            Some(connection) => Self::receive(connection, &mut found).is_ok(),
            None => false,
        };
        if listening {
            return Ok((!found.is_empty()).then_some(found));
        }
        self.connection = None;
        let found = self.listen().inspect_err(|error| {
            if self.database.reachable.swap(false, Ordering::Relaxed) {
                warn!(%error, "the database is unreachable: known clients are served from the copy, changes fail");
            }
        })?;
        Ok(Some(found))
    }

    fn report_again(&mut self, id: &ClientId) {
        self.again.push(*id);
    }

    fn interval(&self) -> Duration {
        if self.connection.is_some() { Duration::ZERO } else { RETRY }
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        Self::Database(cause(&error))
    }
}

/// An error of the client with its cause, which its own text omits.
fn cause(error: &postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_database_is_reached_over_tls_and_a_url_holds_no_password() {
        let mode = |url: &str| Postgres::new(url, None, None).map(|it| it.config.get_ssl_mode());
        for (url, expected) in [
            ("postgres://gw@db.example.com/seacat", Ok(SslMode::Require)),
            ("postgres://gw@db.example.com/seacat?sslmode=prefer", Ok(SslMode::Require)),
            ("postgres://gw@a.example.com,127.0.0.1/seacat", Ok(SslMode::Require)),
            ("postgres://gw@db/seacat?sslmode=disable", Err(InvalidDatabase::NoTls)),
            ("postgres://gw@127.0.0.1/seacat", Ok(SslMode::Disable)),
            ("postgres://gw@localhost/seacat?sslmode=require", Ok(SslMode::Require)),
            ("postgres://gw@%2Fvar%2Frun%2Fpostgresql/seacat", Ok(SslMode::Disable)),
            ("postgres://gw:secret@127.0.0.1/seacat", Err(InvalidDatabase::PasswordInUrl)),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
        assert!(matches!(mode("http://127.0.0.1/"), Err(InvalidDatabase::Url(_))));
        let bad = Postgres::new("postgres://gw@db/x", None, Some(b"no certificate"));
        assert!(matches!(bad, Err(InvalidDatabase::Ca(_))));
    }

    #[test]
    fn the_password_is_not_printed() {
        let password = Zeroizing::new(b"Tr0ub4dor".to_vec());
        let database = Postgres::new("postgres://gw@127.0.0.1/x", Some(&password), None).unwrap();
        assert!(!format!("{database:?}").contains("Tr0ub4dor"));
    }
}
