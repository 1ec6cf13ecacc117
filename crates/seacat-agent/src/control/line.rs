//! Lines of JSON with a limit on their length.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use zeroize::Zeroizing;

use super::{Envelope, VERSION, Version};

/// The longest line. A status is below 4 KiB; a request line carries a path of up to 16 KiB, which
/// JSON may write as six characters a byte.
pub(super) const MAX_LINE: u64 = 128 * 1024;

/// Reads one line; `None` at the end of the stream.
pub(super) async fn read<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    // It may hold a password.
    let mut line = Zeroizing::new(Vec::new());
    if reader.take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if !line.ends_with(b"\n") {
        return Err(invalid("a line is cut off or too long"));
    }
    let Version { v } = serde_json::from_slice(&line).map_err(|e| invalid(&e.to_string()))?;
    if v != VERSION {
        return Err(invalid(&format!(
            "the other side speaks version {v} of the control protocol, this one version {VERSION}: \
             restart the older program"
        )));
    }
    let envelope: Envelope<T> =
        serde_json::from_slice(&line).map_err(|e| invalid(&e.to_string()))?;
    Ok(Some(envelope.body))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Writes one line.
pub(super) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    body: &impl Serialize,
) -> io::Result<()> {
    let mut line = Zeroizing::new(serde_json::to_vec(&Envelope { v: VERSION, body })?);
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}
