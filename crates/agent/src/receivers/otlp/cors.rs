//! CORS, as rs/cors does it with credentials allowed: which web pages may send from a browser.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::config::Cors;

/// What the settings come to.
#[derive(Debug)]
pub(super) struct Policy {
    origins: Vec<Pattern>,
    /// In lower case; none: any.
    headers: Option<Vec<String>>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// An origin in lower case; what stands on both sides of its `*`, if it has one.
#[derive(Debug)]
enum Pattern {
    Any,
    Exact(String),
    Around(String, String),
}

impl Policy {
    /// None without origins.
    pub(super) fn of(settings: &Cors) -> Option<Self> {
        if settings.allowed_origins.is_empty() {
            return None;
        }
        let exposed = settings.exposed_headers.join(", ");
        Some(Self {
            origins: settings.allowed_origins.iter().map(|origin| Pattern::of(origin)).collect(),
            headers: allowed_headers(&settings.allowed_headers),
            exposed: HeaderValue::try_from(exposed).ok().filter(|exposed| !exposed.is_empty()),
            max_age: (settings.max_age > 0).then(|| HeaderValue::from(settings.max_age)),
        })
    }

    /// Whether a request asks if another one may be sent.
    pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// What a preflight request is told.
    pub(super) fn preflight(&self, request: &HeaderMap) -> HeaderMap {
        let mut answer = HeaderMap::new();
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        answer.insert(VARY, HeaderValue::from_static(vary));
        let method = request.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|method| is_allowed_method(method.as_bytes()));
        let (Some(method), Some(origin)) = (method, self.origin(request)) else { return answer };
        let headers = request.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|headers| !headers.is_empty());
        if headers.is_some_and(|headers| !self.allows_headers(headers)) {
            return answer;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        answer.extend(headers.map(|headers| (ACCESS_CONTROL_ALLOW_HEADERS, headers.clone())));
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.extend(self.max_age.clone().map(|seconds| (ACCESS_CONTROL_MAX_AGE, seconds)));
        answer
    }

    /// What goes with the answer to any other request.
    pub(super) fn actual(&self, method: &Method, request: &HeaderMap) -> HeaderMap {
        let mut answer = HeaderMap::new();
        answer.insert(VARY, HeaderValue::from_static("Origin"));
        if !is_allowed_method(method.as_str().as_bytes()) {
            return answer;
        }
        let Some(origin) = self.origin(request) else { return answer };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.extend(self.exposed.clone().map(|headers| (ACCESS_CONTROL_EXPOSE_HEADERS, headers)));
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer
    }

    /// The origin to name in the answer, if the request's is allowed.
    fn origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        let lower = origin.to_str().ok()?.to_ascii_lowercase();
        match self.origins.iter().any(|pattern| matches!(pattern, Pattern::Any)) {
            true => Some(HeaderValue::from_static("*")),
            false => self.origins.iter().any(|pattern| pattern.matches(&lower)).then(|| origin.clone()),
        }
    }

    fn allows_headers(&self, asked: &HeaderValue) -> bool {
        let Some(allowed) = &self.headers else { return true };
        let Ok(asked) = asked.to_str() else { return false };
        asked.split(',').all(|name| allowed.iter().any(|allowed| name.trim().eq_ignore_ascii_case(allowed)))
    }
}

impl Pattern {
    fn of(origin: &str) -> Self {
        let origin = origin.to_ascii_lowercase();
        match origin.split_once('*') {
            Some(("", "")) => Self::Any,
            Some((before, after)) => Self::Around(before.to_owned(), after.to_owned()),
            None => Self::Exact(origin),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => origin == exact,
            Self::Around(before, after) => {
                origin.len() >= before.len() + after.len() && origin.starts_with(before) && origin.ends_with(after)
            }
        }
    }
}

fn is_allowed_method(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"POST" | b"HEAD")
}

fn allowed_headers(settings: &[String]) -> Option<Vec<String>> {
    if settings.iter().any(|name| name == "*") {
        return None;
    }
    let always = ["accept", "content-type", "x-requested-with", "origin"].map(str::to_owned);
    Some(settings.iter().cloned().chain(always).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str], headers: &[&str]) -> Policy {
        let list = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        let settings =
            Cors { allowed_origins: list(origins), allowed_headers: list(headers), max_age: 600, ..Cors::default() };
        Policy::of(&settings).unwrap()
    }

    fn preflight(policy: &Policy, origin: &str, headers: &str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(ORIGIN, origin.parse().unwrap());
        request.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        request.insert(ACCESS_CONTROL_REQUEST_HEADERS, headers.parse().unwrap());
        policy.preflight(&request)
    }

    #[test]
    fn an_allowed_origin_is_named_with_what_it_may_do() {
        let answer =
            preflight(&policy(&["https://*.example"], &["x-tenant"]), "https://Shop.example", "Content-Type, X-Tenant");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://Shop.example");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_HEADERS], "Content-Type, X-Tenant");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[ACCESS_CONTROL_MAX_AGE], "600");
    }

    #[test]
    fn other_origins_and_headers_are_told_nothing() {
        let check = |origins: &[&str], origin: &str, headers: &str, allowed: bool| {
            let answer = preflight(&policy(origins, &[]), origin, headers);
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origins:?} {origin} {headers}");
            assert!(answer.contains_key(VARY));
        };
        check(&["https://a.example"], "https://a.example", "content-type", true);
        check(&["https://a.example"], "https://b.example", "content-type", false);
        check(&["https://a.example"], "https://a.example", "x-other", false);
        check(&["*"], "https://b.example", "accept", true);
        check(&["a*a"], "a", "accept", false);
    }

    #[test]
    fn without_origins_there_is_no_policy() {
        assert!(Policy::of(&Cors::default()).is_none());
    }
}
