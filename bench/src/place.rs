//! What all peers share: the origin, one certificate, our own programs.

use std::fs;
use std::path::{Path, PathBuf};

use seacat_tests::{Process, clean_command, free_port, scratch};

use crate::Outcome;

/// The surroundings of a run. Everything in it ends with it.
#[derive(Debug)]
pub(crate) struct Place {
    /// The origin's port on 127.0.0.1.
    pub(crate) origin_port: u16,
    dir: tempfile::TempDir,
    /// The folder our own programs are built into.
    programs: PathBuf,
    _origin: Process,
}

impl Place {
    /// Makes a CA and a certificate for `localhost`, and starts the origin.
    pub(crate) fn new() -> Outcome<Self> {
        let own = crate::own_program()?;
        let programs = own.parent().map(Path::to_owned).unwrap_or_default();
        let dir = scratch();
        let gateway = programs.join("seacat-gateway");
        let made = clean_command(&gateway, dir.path())
            .args(["init", "keys", "--name", "localhost"])
            .output()
            .map_err(|error| format!("{}: {error}", gateway.display()))?;
        if !made.status.success() {
            let words = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(format!("seacat-gateway init: {words}"));
        }
        let origin_port = free_port();
        let mut command = clean_command(&own, dir.path());
        command.args(["origin", &origin_port.to_string()]);
        let mut origin = Process::start("origin", dir.path(), &command);
        origin.wait_for_port(origin_port);
        let place = Self { origin_port, dir, programs, _origin: origin };
        let both = ["server.pem", "server.key"].map(|file| read(&place.keys().join(file)));
        let [certificate, key] = both;
        write(&place.certificate_and_key(), &(certificate? + &key?))?;
        Ok(place)
    }

    /// The folder with `ca.pem`, `server.pem` and `server.key`.
    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    /// Certificate and key in one file, as haproxy wants them.
    pub(crate) fn certificate_and_key(&self) -> PathBuf {
        self.keys().join("both.pem")
    }

    /// One of our own programs, built beside this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
