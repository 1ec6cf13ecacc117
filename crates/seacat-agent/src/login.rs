//! Starting at login, where this build can choose that.

#[cfg(all(feature = "tray", target_os = "linux"))]
mod entry {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use crate::app::autostart;

    /// The desktop's entry for this program.
    #[derive(Debug, Clone)]
    pub struct Login {
        /// Where the entry is, or would be.
        pub entry: PathBuf,
        /// Our program.
        pub program: PathBuf,
        /// With what it is started.
        pub arguments: Vec<OsString>,
    }

    impl Login {
        /// Whether the entry is there.
        #[must_use]
        pub fn is_on(&self) -> bool {
            self.entry.exists()
        }

        /// Writes the entry, or removes it.
        ///
        /// # Errors
        /// Why that cannot be done, for people.
        pub fn set(&self, on: bool) -> Result<(), String> {
            let done = match on {
                true => autostart::on(&self.entry, &self.program, &self.arguments),
                false => autostart::off(&self.entry),
            };
            done.map_err(|error| error.to_string())
        }
    }
}

#[cfg(not(all(feature = "tray", target_os = "linux")))]
mod entry {
    /// There is none in this build, which has no `app` that could be started.
    #[derive(Debug, Clone)]
    pub enum Login {}

    impl Login {
        /// Never asked.
        #[must_use]
        pub fn is_on(&self) -> bool {
            match *self {}
        }

        /// Never asked.
        ///
        /// # Errors
        /// None.
        pub fn set(&self, _: bool) -> Result<(), String> {
            match *self {}
        }
    }
}

pub use entry::Login;
