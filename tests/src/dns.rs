//! Knot DNS as the name server: real zones, real truncation, real reloads.

use std::fs;
use std::time::Duration;

use crate::place::{clean_command, free_port, scratch};
use crate::process::{Process, wait_for};

/// A running name server for the zone `gw.test` and its own copy of the targets' zone `hosts.test`.
#[derive(Debug)]
pub struct Dns {
    // Before `dir`: the process ends before its folder goes.
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
    serial: u32,
}

/// The zone of the announcements.
pub const GATEWAY_ZONE: &str = "gw.test";
/// The zone of the hosts they name: an answer about the one has no addresses of the other.
pub const HOST_ZONE: &str = "hosts.test";

impl Dns {
    /// Starts it with these records in each zone.
    pub fn start(announcements: &str, hosts: &str) -> Self {
        let dir = scratch();
        let port = free_port();
        let folder = dir.path().display();
        // 1220 bytes is the least it accepts: longer answers are cut, and asked for again by TCP.
        let configuration = format!(
            "server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n  udp-max-payload: 1220\n\
             control:\n  listen: {folder}/knot.sock\n\
             database:\n  storage: {folder}\n\
             template:\n  - id: default\n    storage: {folder}\n    zonefile-sync: -1\n    \
             zonefile-load: whole\n    journal-content: none\n\
             zone:\n  - domain: {GATEWAY_ZONE}\n    file: {GATEWAY_ZONE}\n  - domain: {HOST_ZONE}\n    \
             file: {HOST_ZONE}\n\
             log:\n  - target: stderr\n    any: info\n"
        );
        fs::write(dir.path().join("knot.conf"), configuration).unwrap();
        let command = {
            let mut command = clean_command("knotd", dir.path());
            command.args(["-c", "knot.conf"]);
            command
        };
        write_zone(&dir, GATEWAY_ZONE, 1, announcements);
        write_zone(&dir, HOST_ZONE, 1, hosts);
        let mut process = Process::start("knotd", dir.path(), &command);
        process.wait_for_port(port);
        process.wait_until("its zones", |process| {
            (process.log().matches("serial none -> 1").count() == 2).then_some(())
        });
        Self { process, dir, port, serial: 1 }
    }

    /// Its address, as a setting.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Other announcements from now on.
    pub fn announce(&mut self, announcements: &str) {
        self.serial += 1;
        write_zone(&self.dir, GATEWAY_ZONE, self.serial, announcements);
        self.process.signal("HUP");
        let loaded = format!("-> {}", self.serial);
        wait_for("the new zone", Duration::from_secs(10), || {
            self.process.log().contains(&loaded).then_some(())
        });
    }

    /// The process, to be stopped or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn write_zone(dir: &tempfile::TempDir, zone: &str, serial: u32, records: &str) {
    let text = format!(
        "$ORIGIN {zone}.\n$TTL 60\n\
         @ SOA ns admin {serial} 60 60 600 60\n@ NS ns\nns A 127.0.0.1\n{records}\n"
    );
    fs::write(dir.path().join(zone), text).unwrap();
}
