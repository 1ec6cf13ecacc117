//! Escape codes on a console.

use std::os::windows::io::{AsHandle, AsRawHandle as _};

use windows_sys::Win32::System::Console::{
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, SetConsoleMode,
};

/// Has the console understand escape codes, which cmd.exe and PowerShell leave off; whether it does now.
/// False for what is no console.
pub fn understands_escapes(output: &impl AsHandle) -> bool {
    let output = output.as_handle().as_raw_handle();
    let mut mode = 0;
    // SAFETY: the handle is open, and `mode` is a place for the result.
    if unsafe { GetConsoleMode(output, &raw mut mode) } == 0 {
        return false;
    }
    // SAFETY: the handle is open; the mode is a number.
    unsafe { SetConsoleMode(output, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_console() {
        assert!(!understands_escapes(&tempfile::tempfile().unwrap()));
    }
}
