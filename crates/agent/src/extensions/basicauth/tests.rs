use std::time::Instant;

use super::*;
use crate::settings::read_text;

/// `secret` in each of the forms.
const LIST: &str = "\
# users
bcrypt:$2y$04$BCRYPT
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
plain:secret
colon:se:cret
";

fn server(list: &str) -> BasicAuth {
    BasicAuth::open(&Htpasswd { inline: Secret::new(list), ..Htpasswd::default() }).unwrap()
}

fn list() -> String {
    LIST.replace("$2y$04$BCRYPT", &bcrypt::hash("secret", 4).unwrap().replacen("$2b$", "$2y$", 1))
}

fn header(name: &str, password: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("Basic {}", BASE64.encode(format!("{name}:{password}")));
    headers.insert(AUTHORIZATION, HeaderValue::try_from(value).unwrap());
    headers
}

#[test]
fn takes_every_form_of_password_and_refuses_the_wrong_one() {
    let server = server(&list());
    for name in ["bcrypt", "sha", "plain"] {
        assert!(server.authenticate(&header(name, "secret")).is_ok(), "{name}");
        assert!(server.authenticate(&header(name, "secret")).is_ok(), "{name}, remembered");
        for wrong in ["", "Secret", "secret ", "secre"] {
            assert!(server.authenticate(&header(name, wrong)).is_err(), "{name} with {wrong:?}");
        }
    }
    assert!(server.authenticate(&header("colon", "se:cret")).is_ok(), "the password is all behind the first colon");
    assert!(server.authenticate(&header("nobody", "secret")).is_err());
    assert!(server.authenticate(&header("# users", "")).is_err(), "a comment is no user");
}

#[test]
fn the_user_and_the_raw_header_are_told_on() {
    let info = server(&list()).authenticate(&header("plain", "secret")).unwrap();
    let expected = [("username", "plain"), ("raw", "cGxhaW46c2VjcmV0")];
    assert_eq!(info.attributes, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn malformed_headers_are_refused_with_the_reason() {
    let check = |value: &'static str, reason: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        assert_eq!(server("a:b").authenticate(&headers).unwrap_err().message, reason, "{value}");
    };
    check("", "missing or empty authorization header");
    check("Bearer abc", "invalid authorization header");
    check("Basic", "invalid authorization header");
    check("Basic !!!", "invalid authorization header");
    check("Basic YWJj", "invalid authorization header"); // no colon
}

#[test]
fn a_slow_hash_is_computed_once_for_each_password_right_or_wrong() {
    let slow = format!("slow:{}", bcrypt::hash("secret", 9).unwrap());
    let check = |name, password, right| {
        let server = server(&slow);
        let time = || {
            let start = Instant::now();
            assert_eq!(server.authenticate(&header(name, password)).is_ok(), right);
            start.elapsed()
        };
        let first = time();
        let later = (0..5).map(|_| time()).min().unwrap();
        assert!(later < first / 4, "{name}: first {first:?}, later {later:?}");
    };
    check("slow", "secret", true);
    check("slow", "wrong", false);
    check("nobody", "secret", false);
}

#[test]
fn a_flood_of_wrong_passwords_takes_bounded_memory_and_hides_no_right_one() {
    let users = Users::parse("a:right").unwrap();
    let verified = Verified::default();
    for number in 0..1000 {
        assert!(!verified.check([&users], "a", &format!("wrong {number}")));
    }
    assert!(verified.check([&users], "a", "right"));
    assert!(verified.check([&users], "a", "right"));
}

#[test]
fn a_changed_file_shuts_out_the_old_password() {
    let users = |text| Users::parse(text).unwrap();
    let verified = Verified::default();
    assert!(verified.check([&users("a:old")], "a", "old"));
    assert!(!verified.check([&users("a:new")], "a", "old"));
    assert!(!verified.check([&users("a:same")], "new", "same"));
    assert!(verified.check([&users("a:same\nnew:same")], "new", "same"), "a user that was added later");
    assert!(verified.check([&users("a:inline"), &users("a:file")], "a", "inline"));
    assert!(!verified.check([&users("a:inline"), &users("a:file")], "a", "file"), "the first list wins");
}

#[test]
fn hashes_that_are_not_checked_are_never_taken_for_plain_text() {
    for hash in ["$apr1$salt$hash", "$6$salt$hash", "{SSHA}hash", "{SHA}short"] {
        let error = Users::parse(&format!("a:{hash}")).err().unwrap().to_string();
        assert!(error.contains("line 1") && !error.contains(hash), "{error}");
    }
}

#[test]
fn an_exporter_sends_name_and_password() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let text = format!("client_auth: {{username: plain, password_file: {}}}", file.path().display());
    let config: Config = read_text(&text).unwrap();
    let mut headers = HeaderMap::new();
    BasicCredentials::open(config.client_auth.on().unwrap()).unwrap().add_to(&mut headers);
    assert_eq!(headers, header("plain", "secret"));
    assert!(headers[AUTHORIZATION].is_sensitive());
}

#[test]
fn problems_of_the_configuration_are_told() {
    let problem = |config: &str| read_text::<Config>(config).unwrap_err();
    assert!(problem("{}").contains("no authenticator provided"));
    assert!(problem("{htpasswd: {inline: 'a:b'}, client_auth: {username: a}}").contains("only one of"));
    assert!(problem("htpasswd: {}").contains("nobody is listed"));
    assert!(problem("htpasswd: {inline: 'no colon here'}").contains("has no colon"));
    assert!(problem("client_auth: {password: x}").contains("name is missing"));
}
