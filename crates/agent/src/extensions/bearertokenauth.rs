//! `bearertokenauth`: a token in a header. Receivers check it, exporters send it.

use std::path::Path;

use anyhow::Context;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

use super::reloaded::Reloaded;
use crate::component::{About, Component, Role, Status};
use crate::net::auth::{AuthInfo, Authenticate, Credentials, Denied};
use crate::settings::{Reader, Secret, settings};

settings! {
    /// A token in a header. A receiver that names this extension takes requests with one of the tokens only; an exporter
    /// that names it sends the first.
    pub struct Config {
        /// What stands in front of the token. Empty when the header holds the token alone.
        pub scheme: String = "Bearer".to_owned(),
        /// The header.
        pub header: String = "Authorization".to_owned(),
        /// The token. Take it from the environment: `${env:TOKEN}`.
        pub token: Secret = Secret::default(),
        /// Several tokens that are all taken, for changing from one to another without a gap.
        pub tokens: Vec<Secret> = Vec::new(),
        /// A file with a token on each line. It is read again when it changes, and wins over `token` and `tokens`.
        pub filename: String = String::new(),
    }
    check Config::check
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "bearertokenauth",
        formerly: None,
        summary: "A token in a header: receivers check it, exporters send it.",
        status: Status::Stable,
        signals: &[],
    };

    fn offers(&self) -> &'static [Role] {
        &[Role::ServerAuthenticator, Role::ClientAuthenticator]
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        let written = usize::from(!self.token.is_empty()) + usize::from(!self.tokens.is_empty());
        if self.filename.is_empty() && written == 0 {
            cx.error_at("token", "no bearer token provided", "add `token: ${env:TOKEN}`, `tokens` or `filename`");
        }
        if written == 2 {
            cx.error_at("tokens", "either `token` or `tokens` can be used, not both", "move the token into `tokens`");
        }
        if !self.filename.is_empty() && written > 0 {
            cx.warning_at("filename", "`filename` wins, the other tokens are not used", "remove `token` and `tokens`");
        }
        if HeaderName::from_bytes(self.header.as_bytes()).is_err() {
            let what = format!("`{}` is not the name of a header", self.header);
            cx.error_at("header", what, "write `header: Authorization`");
        }
    }
}

/// Checks and sends tokens.
pub struct BearerToken {
    header: HeaderName,
    scheme: String,
    tokens: Tokens,
}

enum Tokens {
    Written(Vec<HeaderValue>),
    File(Box<Reloaded<Vec<Secret>>>),
}

impl BearerToken {
    /// Reads the file, if one is named.
    ///
    /// # Errors
    ///
    /// The file cannot be read or holds no token, or a token cannot stand in a header.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let header = HeaderName::from_bytes(config.header.as_bytes()).context("the name of the header")?;
        let tokens = if config.filename.is_empty() {
            let one = Some(&config.token).filter(|token| !token.is_empty());
            let values = one.into_iter().chain(&config.tokens).map(|token| header_value(&config.scheme, token));
            Tokens::Written(values.collect::<anyhow::Result<_>>()?)
        } else {
            Tokens::File(Box::new(Reloaded::open(Path::new(&config.filename), parse_file)?))
        };
        Ok(Self { header, scheme: config.scheme.clone(), tokens })
    }

    /// The values of the header that are taken; the first is the one that is sent.
    fn values(&self) -> Vec<HeaderValue> {
        match &self.tokens {
            Tokens::Written(values) => values.clone(),
            // The file was checked when it was read.
            Tokens::File(file) => {
                file.get().iter().filter_map(|token| header_value(&self.scheme, token).ok()).collect()
            }
        }
    }
}

fn parse_file(text: &str) -> anyhow::Result<Vec<Secret>> {
    let tokens: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new).collect();
    anyhow::ensure!(!tokens.is_empty(), "no bearer token in the file");
    for token in &tokens {
        header_value("", token)?;
    }
    Ok(tokens)
}

fn header_value(scheme: &str, token: &Secret) -> anyhow::Result<HeaderValue> {
    let text = if scheme.is_empty() { token.expose().to_owned() } else { format!("{scheme} {}", token.expose()) };
    // The error must not show the token.
    let mut value = HeaderValue::try_from(text).map_err(|_| anyhow::anyhow!("a token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Authenticate for BearerToken {
    fn authenticate(&self, headers: &HeaderMap) -> Result<AuthInfo, Denied> {
        let Some(given) = headers.get(&self.header) else {
            return Err(Denied::because(format!("missing or empty authorization header: {}", self.header)));
        };
        // Every token is compared, so that the time says nothing about which one was near.
        let known = self
            .values()
            .iter()
            .map(|value| value.as_bytes().ct_eq(given.as_bytes()))
            .fold(subtle::Choice::from(0), |any, equal| any | equal);
        if bool::from(known) {
            return Ok(AuthInfo::default());
        }
        Err(Denied::because("scheme or token does not match"))
    }
}

impl Credentials for BearerToken {
    fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.values().into_iter().next() {
            headers.insert(&self.header, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    fn open(config: &str) -> BearerToken {
        BearerToken::open(&read_text(config).unwrap()).unwrap()
    }

    fn check(config: &str, header: &str, value: &str, taken: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_bytes(header.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        assert_eq!(open(config).authenticate(&headers).is_ok(), taken, "{header}: {value}");
    }

    #[test]
    fn takes_its_tokens_and_no_others() {
        check("token: abc", "Authorization", "Bearer abc", true);
        check("token: abc", "authorization", "Bearer abcd", false);
        check("token: abc", "Authorization", "Bearer ab", false);
        check("token: abc", "Authorization", "abc", false);
        check("token: abc", "Authorization", "Basic abc", false);
        check("token: abc", "X-Other", "Bearer abc", false);
        check("tokens: [abc, def]", "Authorization", "Bearer def", true);
        check("{token: abc, scheme: '', header: X-Api-Key}", "x-api-key", "abc", true);
        check("{token: abc, scheme: Token}", "Authorization", "Token abc", true);
    }

    #[test]
    fn a_refusal_does_not_show_the_token() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer wrong"));
        let denied = open("token: right").authenticate(&headers).unwrap_err().to_string();
        assert!(!denied.contains("right") && !denied.contains("wrong"), "{denied}");
        assert!(open("token: right").authenticate(&HeaderMap::new()).is_err());
    }

    #[test]
    fn an_exporter_sends_the_first_token_marked_as_sensitive() {
        let mut headers = HeaderMap::new();
        open("tokens: [new, old]").add_to(&mut headers);
        assert_eq!(headers["authorization"], "Bearer new");
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn tokens_of_a_file_are_one_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n\n  two  \n").unwrap();
        let config = format!("filename: {}", file.path().display());
        check(&config, "Authorization", "Bearer one", true);
        check(&config, "Authorization", "Bearer two", true);
        check(&config, "Authorization", "Bearer", false);
        std::fs::write(file.path(), "\n").unwrap();
        assert!(BearerToken::open(&read_text(&config).unwrap()).is_err());
    }

    #[test]
    fn problems_of_the_configuration_are_told() {
        let problem = |config: &str| read_text::<Config>(config).unwrap_err();
        assert!(problem("{}").contains("no bearer token provided"));
        assert!(problem("{token: a, tokens: [b]}").contains("not both"));
        assert!(problem("{token: a, header: 'a b'}").contains("not the name of a header"));
    }
}
