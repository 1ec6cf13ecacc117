//! What goes over the wire, captured by dumpcap and dissected by tshark.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::place::clean_command;
use crate::process::{Process, wait_for};

/// A running dumpcap on the loopback interface.
#[derive(Debug)]
pub struct Capture {
    dumpcap: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts capturing what goes to and from these ports.
    pub fn start(dir: &Path, ports: &[u16]) -> Self {
        let file = dir.join("capture.pcapng");
        let filter: Vec<String> = ports.iter().map(|port| format!("tcp port {port}")).collect();
        let mut command = clean_command("dumpcap", dir);
        // A busy machine must not lose a packet: 32 MiB may wait to be written.
        command.args(["-i", "lo", "-q", "-B", "32", "-f", &filter.join(" or "), "-w"]).arg(&file);
        let mut dumpcap = Process::start("dumpcap", dir, &command);
        wait_for("dumpcap to capture", Duration::from_secs(20), || {
            let log = dumpcap.log();
            assert!(
                dumpcap.ended().is_none(),
                "capturing is not permitted: run as root, or let your group do it \
                 (dpkg-reconfigure wireshark-common; adduser YOU wireshark)\n{log}"
            );
            // It says where it writes once the interface is open.
            log.contains("File: ").then_some(())
        });
        Self { dumpcap, file }
    }

    /// Stops when the end of the last connection to `port` has been captured.
    pub fn stop(mut self, port: u16) -> PathBuf {
        let filter = format!("tcp.port == {port} && (tcp.flags.fin == 1 || tcp.flags.reset == 1)");
        wait_for("the last packet", Duration::from_secs(20), || {
            (tshark(&self.file, &["-Y", &filter]).lines().count() >= 2).then_some(())
        });
        self.dumpcap.signal("INT");
        self.dumpcap.wait_to_end(Duration::from_secs(20));
        self.file
    }
}

/// What tshark prints. While a capture is written its last packet may be cut short; then tshark
/// ends with an error after having printed the others, so how it ends is not looked at.
pub fn tshark(file: &Path, arguments: &[&str]) -> String {
    let out = Command::new("tshark").arg("-r").arg(file).args(arguments).output();
    String::from_utf8_lossy(&out.expect("tshark starts").stdout).into_owned()
}
