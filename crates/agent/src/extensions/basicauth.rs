//! `basicauth`: user name and password. Receivers check them against an htpasswd list, exporters send them.

/// The htpasswd list.
mod htpasswd;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use self::htpasswd::{Users, Verified};
use super::reloaded::Reloaded;
use crate::component::{About, Component, Role, Status};
use crate::net::auth::{AuthInfo, Authenticate, Credentials, Denied};
use crate::settings::{Reader, Secret, Toggle, settings};

settings! {
    /// User name and password. With `htpasswd`, receivers that name this extension take requests of the listed users
    /// only; with `client_auth`, exporters that name it send one user's name and password.
    pub struct Config {
        /// Who is let in.
        pub htpasswd: Toggle<Htpasswd> = Toggle::Off,
        /// As whom an exporter goes.
        pub client_auth: Toggle<ClientAuth> = Toggle::Off,
    }
    check Config::check
}

settings! {
    /// Who is let in, as `htpasswd` writes it: `name:password` on each line. The password is a bcrypt hash (`$2y$…`, what
    /// `htpasswd -B` makes), `{SHA}…`, or plain text. Each hash is computed once for a user, not for each request.
    pub struct Htpasswd {
        /// A file, read again when it changes.
        pub file: String = String::new(),
        /// The lines themselves; they win over the file.
        pub inline: Secret = Secret::default(),
    }
}

settings! {
    /// As whom an exporter goes.
    pub struct ClientAuth {
        /// The user's name.
        pub username: String = String::new(),
        /// The user's password. Take it from the environment: `${env:PASSWORD}`.
        pub password: Secret = Secret::default(),
        /// A file with the name, read again when it changes; it wins over `username`.
        pub username_file: String = String::new(),
        /// A file with the password, read again when it changes; it wins over `password`.
        pub password_file: String = String::new(),
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "basicauth",
        formerly: None,
        summary: "User name and password: receivers check them, exporters send them.",
        status: Status::Stable,
        signals: &[],
    };

    fn offers(&self) -> &'static [Role] {
        if self.client_auth.is_on() { &[Role::ClientAuthenticator] } else { &[Role::ServerAuthenticator] }
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        match (self.htpasswd.on(), self.client_auth.on()) {
            (Some(_), Some(_)) => {
                let what = "only one of `htpasswd` and `client_auth` can be used";
                cx.error_at("client_auth", what, "make two extensions: `basicauth/server` and `basicauth/client`");
            }
            (None, None) => {
                let remedy = "add `htpasswd` for a receiver or `client_auth` for an exporter";
                cx.error("no authenticator provided", remedy);
            }
            (Some(server), None) if server.file.is_empty() && server.inline.is_empty() => {
                cx.error_at(
                    "htpasswd",
                    "nobody is listed",
                    "add `file: PATH` or `inline: |` with lines of `name:password`",
                );
            }
            (Some(server), None) => {
                // The file is read at the start; it need not be on the machine where the configuration is checked.
                if let Err(error) = Users::parse(server.inline.expose()) {
                    cx.error_at("htpasswd::inline", format!("{error:#}"), "write lines of `name:password`");
                }
            }
            (None, Some(client)) => {
                if client.username.is_empty() && client.username_file.is_empty() {
                    cx.error_at("client_auth", "the user's name is missing", "add `username: NAME`");
                }
            }
        }
    }
}

// === The server's side ===

/// Checks names and passwords.
pub struct BasicAuth {
    inline: Users,
    file: Option<Reloaded<Users>>,
    verified: Verified,
}

impl BasicAuth {
    /// Reads the list.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line cannot be used.
    pub fn open(config: &Htpasswd) -> anyhow::Result<Self> {
        let file = Some(config.file.as_str()).filter(|file| !file.is_empty());
        Ok(Self {
            inline: Users::parse(config.inline.expose())?,
            file: file.map(|file| Reloaded::open(Path::new(file), Users::parse)).transpose()?,
            verified: Verified::default(),
        })
    }
}

impl Authenticate for BasicAuth {
    fn authenticate(&self, headers: &HeaderMap) -> Result<AuthInfo, Denied> {
        let (raw, name, password) = credentials(headers)?;
        let file = self.file.as_ref().map(Reloaded::get);
        let users = [Some(&self.inline), file.as_deref()].into_iter().flatten();
        if !self.verified.check(users, &name, &password) {
            return Err(Denied::because("invalid credentials"));
        }
        let attributes = [("username", name), ("raw", raw)];
        Ok(AuthInfo { attributes: attributes.map(|(key, value)| (key.to_owned(), value)).to_vec() })
    }
}

/// The header's own text behind `Basic`, and the name and password in it.
fn credentials(headers: &HeaderMap) -> Result<(String, String, String), Denied> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Err(Denied::because("missing or empty authorization header"));
    };
    let raw =
        value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")).map(|(_, raw)| raw.trim());
    let decoded = raw.and_then(|raw| String::from_utf8(BASE64.decode(raw).ok()?).ok());
    match (raw, decoded.as_deref().and_then(|decoded| decoded.split_once(':'))) {
        (Some(raw), Some((name, password))) => Ok((raw.to_owned(), name.to_owned(), password.to_owned())),
        _ => Err(Denied::because("invalid authorization header")),
    }
}

// === The client's side ===

/// Sends one user's name and password.
pub struct BasicCredentials {
    username: Text,
    password: Text,
}

enum Text {
    Written(Secret),
    File(Reloaded<Secret>),
}

impl BasicCredentials {
    /// Reads the files, if some are named.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn open(config: &ClientAuth) -> anyhow::Result<Self> {
        let username = Secret::new(config.username.as_str());
        Ok(Self {
            username: Text::open(&config.username_file, &username)?,
            password: Text::open(&config.password_file, &config.password)?,
        })
    }
}

impl Text {
    fn open(file: &str, written: &Secret) -> anyhow::Result<Self> {
        if file.is_empty() {
            return Ok(Text::Written(written.clone()));
        }
        let parse = |text: &str| Ok(Secret::new(text.trim_end_matches(['\r', '\n'])));
        Ok(Text::File(Reloaded::open(Path::new(file), parse)?))
    }

    fn get(&self) -> Secret {
        match self {
            Text::Written(text) => text.clone(),
            Text::File(file) => Secret::clone(&file.get()),
        }
    }
}

impl Credentials for BasicCredentials {
    fn add_to(&self, headers: &mut HeaderMap) {
        let pair = format!("{}:{}", self.username.get().expose(), self.password.get().expose());
        let value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair)));
        let mut value = value.expect("base64 is made of characters that a header takes");
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests;
