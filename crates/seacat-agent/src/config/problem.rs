//! What is wrong with a configuration, and exactly where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a faulty value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file: 1-based line and column (in characters), with the line itself to quote.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The text of that line, without its end.
        text: String,
        /// How many characters to underline, at least 1.
        length: usize,
    },
    /// A file that could not be read at all.
    WholeFile(PathBuf),
    /// In an environment variable of this name.
    Environment(String),
    /// In a command-line option of this name.
    CommandLine(String),
    /// In how several settings fit together.
    Combination,
}

impl Place {
    /// The place of the bytes `span` in `text`, the content of the file `path`.
    pub(crate) fn in_file(path: &Path, text: &str, span: Range<usize>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_char_boundary(text, span.end).clamp(start, line_end);
        Place::File {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: without_password(text[line_start..line_end].trim_end_matches('\r')),
            length: text[start..end].chars().count().max(1),
        }
    }
}

/// The line as it may be printed and logged: somebody may have put a URL with a password where none
/// belongs. As long as it was, so that a mark below it stands right.
fn without_password(line: &str) -> String {
    let hidden = line.split_once("://").and_then(|(before, rest)| {
        let end = rest.find(['/', '"', '\'', ' ']).unwrap_or(rest.len());
        let at = rest[..end].rfind('@')?;
        let colon = rest[..at].find(':')?;
        let stars = "*".repeat(rest[colon + 1..at].chars().count());
        Some(format!("{before}://{}{stars}{}", &rest[..=colon], &rest[at..]))
    });
    hidden.unwrap_or_else(|| line.to_owned())
}

/// The last character boundary at or before `at`.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// One thing that is wrong, or deserves a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what would be right, in one sentence.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match &self.place {
            Place::File { path, line, column, text, length } => {
                let gutter = " ".repeat(line.to_string().len());
                // Tabs before the mark are kept, so that it stands under its word on any terminal.
                let indent: String = text
                    .chars()
                    .take(column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                writeln!(f, "{}:{line}:{column}: {message}", path.display())?;
                writeln!(f, "  {gutter} |")?;
                writeln!(f, "  {line} | {text}")?;
                write!(f, "  {gutter} | {indent}{}", "^".repeat(*length))
            }
            Place::WholeFile(path) => write!(f, "{}: {message}", path.display()),
            Place::Environment(name) => write!(f, "environment variable {name}: {message}"),
            Place::CommandLine(option) => write!(f, "{option}: {message}"),
            Place::Combination => write!(f, "{message}"),
        }
    }
}

/// Everything that is wrong with a configuration: never only the first fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = "a = 1\n\tčau = 2\r\nlast";
        let at = text.find("čau").unwrap();
        let place = Place::in_file(Path::new("c.toml"), text, at..at + "čau".len());
        assert_eq!(
            place,
            Place::File {
                path: "c.toml".into(),
                line: 2,
                column: 2,
                text: "\tčau = 2".into(),
                length: 3
            }
        );
        let shown = Problem::new(place, "no").to_string();
        assert_eq!(shown, "c.toml:2:2: no\n    |\n  2 | \tčau = 2\n    | \t^^^");
    }

    #[test]
    fn a_password_is_not_quoted() {
        for (line, shown) in [
            ("proxy = \"http://ann:se@cret@p:1\"", "proxy = \"http://ann:*******@p:1\""),
            ("proxy = \"http://ann@p:1\"", "proxy = \"http://ann@p:1\""),
            ("proxy = \"http://p:1/a:b@c\"", "proxy = \"http://p:1/a:b@c\""),
            ("a = 1", "a = 1"),
        ] {
            assert_eq!(without_password(line), shown);
        }
    }

    #[test]
    fn spans_outside_the_text_do_not_panic() {
        for text in ["", "x", "ž"] {
            for start in 0..4 {
                for end in 0..4 {
                    let _ = Place::in_file(Path::new("c"), text, start..end);
                }
            }
        }
    }
}
