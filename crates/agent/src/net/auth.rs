//! Who may send: the seam between a listener and the authenticator that its configuration names.

use std::fmt;

use http::HeaderMap;

/// Decides from the headers of a request whether its sender may go on. Extensions implement it; receivers ask it before a
/// body is read.
pub trait Authenticate: Send + Sync {
    /// # Errors
    ///
    /// When the sender is not who it should be, with what it is told.
    fn authenticate(&self, headers: &HeaderMap) -> Result<AuthInfo, Denied>;
}

/// Says who we are: adds to the headers of a request what proves it. Extensions implement it; exporters ask it for each
/// request, so that what has changed is used at once.
pub trait Credentials: Send + Sync {
    /// Sets the headers. They are marked as sensitive.
    fn add_to(&self, headers: &mut HeaderMap);
}

/// What an authenticator found out about a sender (for instance `username`), for those who use it further on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthInfo {
    /// Names in lower case, with their values.
    pub attributes: Vec<(String, String)>,
}

/// The sender may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why; it is told to the sender, so it holds no secret.
    pub message: String,
}

impl Denied {
    /// Denied for this reason.
    pub fn because(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Denied {}
