//! What an image reference says: name, tag, digest. The grammar is that of the registries' own library.

use std::sync::LazyLock;

use regex::Regex;

/// `NAME[:TAG][@DIGEST]`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image<'a> {
    /// Registry and path, as written.
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

/// Longer names are no names.
const LONGEST_NAME: usize = 255;

static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let host = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    Regex::new(&format!(
        r"^((?:{host}/)?{part}(?:/{part})*)(?::([0-9A-Za-z_][0-9A-Za-z_.-]{{0,127}}))?(?:@({digest}))?$"
    ))
    .ok()
});

impl<'a> Image<'a> {
    /// Takes a reference apart; `None` if it is none.
    pub(super) fn parse(text: &'a str) -> Option<Image<'a>> {
        let found = REFERENCE.as_ref()?.captures(text)?;
        let part = |index| found.get(index).map(|part| part.as_str());
        let image = Image { name: part(1)?, tag: part(2), digest: part(3) };
        (image.name.len() <= LONGEST_NAME && image.digest.is_none_or(is_digest)).then_some(image)
    }

    /// What `service.version` is made of: the tag, the digest, or both.
    pub(super) fn version(&self) -> Option<String> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (tag, digest) => tag.or(digest).map(str::to_owned),
        }
    }

    /// The reference with registry, path and digest, as `container.image.repo_digests` has it; `None` without a digest.
    pub(super) fn canonical(text: &str) -> Option<String> {
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        let is_host =
            first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase());
        let (host, path) = if is_host { (first, rest) } else { ("docker.io", text) };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let library = if host == "docker.io" && !path.contains('/') { "library/" } else { "" };
        let whole = format!("{host}/{library}{path}");
        Image::parse(&whole)?.digest.is_some().then_some(whole)
    }
}

/// Whether it is one of the digests that registries know, in full length.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_is_taken_apart() {
        let check = |text: &str, name: &str, tag: Option<&str>, version: Option<&str>| {
            let image = Image::parse(text).unwrap();
            assert_eq!((image.name, image.tag, image.version().as_deref()), (name, tag, version), "{text}");
        };
        check("nginx", "nginx", None, None);
        check("nginx:1.27", "nginx", Some("1.27"), Some("1.27"));
        check("registry:5000/a/b", "registry:5000/a/b", None, None);
        check("registry:5000/a/b:v1", "registry:5000/a/b", Some("v1"), Some("v1"));
        check("[2001:db8::1]:5000/a", "[2001:db8::1]:5000/a", None, None);
        check(&format!("ghcr.io/a/b@{DIGEST}"), "ghcr.io/a/b", None, Some(DIGEST));
        check(&format!("a/b:v1@{DIGEST}"), "a/b", Some("v1"), Some(&format!("v1@{DIGEST}")));
    }

    #[test]
    fn what_is_no_reference_is_left_alone() {
        for text in ["", "UPPER", "a//b", "a:", "a@sha256:12", "a b", "-a", "a@md5:0123456789abcdef0123456789abcdef"] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
        assert_eq!(Image::parse(&"a".repeat(256)), None);
        assert!(Image::parse(&"a".repeat(255)).is_some());
    }

    #[test]
    fn a_digest_is_given_with_registry_and_path() {
        let check = |text: &str, expected: Option<&str>| {
            let expected = expected.map(|name| format!("{name}@{DIGEST}"));
            assert_eq!(Image::canonical(&format!("{text}@{DIGEST}")), expected, "{text}");
        };
        check("nginx", Some("docker.io/library/nginx"));
        check("a/nginx", Some("docker.io/a/nginx"));
        check("index.docker.io/nginx", Some("docker.io/library/nginx"));
        check("ghcr.io/a/b", Some("ghcr.io/a/b"));
        check("localhost/a", Some("localhost/a"));
        check("a:5000/b:v1", Some("a:5000/b:v1"));
        check("docker-pullable://nginx", None);
        assert_eq!(Image::canonical("nginx:1.27"), None, "no digest");
        assert_eq!(Image::canonical(DIGEST), None, "an id is no name");
        assert_eq!(Image::canonical(""), None);
    }
}
