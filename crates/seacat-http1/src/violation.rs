//! Why a message is refused.

/// The rule that a message breaks. Servers map it to a status and a code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The grammar of a head (RFC 9112 sections 2 to 5).
    Syntax,
    /// The length of the body is not clear (RFC 9112 section 6.3).
    Length,
    /// A transfer coding that is not undone here (RFC 9112 section 6.1).
    TransferCoding,
    /// The chunked coding (RFC 9112 section 7.1).
    Chunk,
    /// The Host field (RFC 9112 section 3.2).
    Host,
    /// The request target (RFC 9112 section 3.2).
    Target,
    /// The scheme of the request target is not `http`.
    Scheme,
    /// The peer speaks another protocol: TLS, HTTP/2, HTTP/0.9.
    Protocol,
    /// A version of HTTP that is not 1.x.
    Version,
    /// A method longer than any in use (RFC 9112 section 3).
    MethodTooLong,
    /// The request line is too long (RFC 9112 section 3).
    TargetTooLong,
    /// The head is too long or has too many fields.
    HeadTooLarge,
    /// The connection ended before the message did (RFC 9112 section 8).
    Incomplete,
}

/// A broken rule and what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was seen: a full sentence without text of the peer's.
    pub what: &'static str,
}

/// Shorthand of the readers.
pub(crate) fn refuse<T>(rule: Rule, what: &'static str) -> Result<T, Violation> {
    Err(Violation { rule, what })
}
