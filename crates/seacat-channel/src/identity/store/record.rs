//! The note about how far we are: a few lines of `name value`, replaced as a whole.

use crate::identity::lifecycle::Mark;

/// Where the key is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere.
    #[default]
    Nowhere,
    /// One was going to be made; it may be in the key store, in a file, or nowhere.
    Making(String),
    /// In the key store under this name.
    Keyring(String),
    /// In a file; in the key store it would have this name.
    File(String),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) mark: Mark,
    /// When a CSR was sent last, in seconds since 1970.
    pub(crate) last_try: Option<i64>,
    /// The common name that was asked for on the command line.
    pub(crate) common_name: Option<String>,
    /// The number and the digest of what we told about this computer last.
    pub(crate) facts: (u32, String),
    /// The number that the gateway has acknowledged.
    pub(crate) acknowledged: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            place: Place::Nowhere,
            mark: Mark::Idle,
            last_try: None,
            common_name: None,
            facts: (0, String::new()),
            acknowledged: 0,
        }
    }
}

const MARKS: [(&str, Mark); 4] = [
    ("idle", Mark::Idle),
    ("ready", Mark::Ready),
    ("waiting", Mark::Waiting),
    ("rejected", Mark::Rejected),
];

impl Record {
    pub(crate) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        match &self.place {
            Place::Nowhere => {}
            Place::Making(id) => lines.push(format!("making {id}")),
            Place::Keyring(id) => lines.push(format!("keyring {id}")),
            Place::File(id) => lines.push(format!("file {id}")),
        }
        let mark = MARKS.iter().find(|(_, mark)| *mark == self.mark);
        lines.extend(mark.map(|(word, _)| format!("mark {word}")));
        lines.extend(self.last_try.map(|at| format!("last-try {at}")));
        lines.extend(self.common_name.as_ref().map(|cn| format!("common-name {cn}")));
        lines.push(format!("facts {} {}", self.facts.0, self.facts.1));
        lines.push(format!("acknowledged {}", self.acknowledged));
        lines.join("\n") + "\n"
    }

    /// What is not understood is left out: the certificate and the key speak for themselves.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut it = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            match name {
                "making" => it.place = Place::Making(value.to_owned()),
                "keyring" => it.place = Place::Keyring(value.to_owned()),
                "file" => it.place = Place::File(value.to_owned()),
                "mark" => {
                    let mark = MARKS.iter().find(|(word, _)| *word == value);
                    it.mark = mark.map_or(Mark::Idle, |(_, mark)| *mark);
                }
                "last-try" => it.last_try = value.parse().ok(),
                "common-name" => it.common_name = Some(value.to_owned()),
                "facts" => {
                    let (serial, digest) = value.split_once(' ').unwrap_or((value, ""));
                    it.facts = (serial.parse().unwrap_or(0), digest.to_owned());
                }
                "acknowledged" => it.acknowledged = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        it
    }
}
