//! What `memory_limiter::fair_share` takes. A section of ours.

use super::PodName;
use crate::settings::{ByteSize, Reader, settings};

settings! {
    /// Whom the limiter refuses first. A section of ours; the Collector's `memory_limiter` does not have it.
    pub struct Settings {
        /// Whether senders over their share are refused first, and whether `limits` count.
        pub enabled: bool = true,
        /// Fixed limits, whatever room there is.
        pub limits: Vec<Limit> = Vec::new(),
    }
}

settings! {
    /// So much a second, for a namespace or for each pod. A sender that is over it is told when to come back.
    pub struct Limit {
        /// The namespace; `*` stands for any text. Without `pod`, all that sends from there shares the limit.
        pub namespace: String = String::new(),
        /// Names of pods; `*` stands for any text. Each pod has the limit for itself. `pod: "*"` without `namespace` is every
        /// sender, also one that is not known as a pod.
        pub pod: String = String::new(),
        /// Spans, data points and log records a second; 0 is any number.
        pub items_per_second: u64 = 0,
        /// Bytes a second, not compressed; 0 is any number.
        pub bytes_per_second: ByteSize = ByteSize::bytes(0),
    }
    check Limit::check
}

impl Limit {
    fn check(&self, cx: &mut Reader<'_>) {
        if !self.names_somebody() {
            let remedy = "write `namespace: NAME`, `pod: \"NAME-*\"` or both; `pod: \"*\"` is every sender";
            cx.error_at("namespace", "a limit must say for whom it is: `namespace`, `pod` or both", remedy);
        }
        if self.items_per_second == 0 && self.bytes_per_second.as_u64() == 0 {
            let what = "a limit must say how much: `items_per_second`, `bytes_per_second` or both";
            cx.error_at("items_per_second", what, "write `items_per_second: 10000`");
        }
    }

    /// Whether it says for whom it is.
    #[must_use]
    pub fn names_somebody(&self) -> bool {
        !(self.namespace.is_empty() && self.pod.is_empty())
    }

    /// Whether it takes knowledge of pods to tell whom it is for.
    #[must_use]
    pub fn needs_pods(&self) -> bool {
        !(self.namespace.is_empty() && self.pod == "*")
    }

    /// Whether each pod has it for itself.
    pub(super) fn is_for_each(&self) -> bool {
        !self.pod.is_empty()
    }

    /// Whether it is for a sender.
    pub(super) fn is_for(&self, pod: Option<&PodName>) -> bool {
        let Some(pod) = pod else { return !self.needs_pods() };
        let fits = |pattern: &str, name: &str| pattern.is_empty() || matches(pattern, name);
        fits(&self.namespace, &pod.namespace) && fits(&self.pod, &pod.name)
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*');
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        // The first place is as good as any: what follows has the more room.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("cart", "cart", true),
            ("cart", "cart-1", false),
            ("cart-*", "cart-5d9-x", true),
            ("cart-*", "cart", false),
            ("*-x", "cart-x", true),
            ("*a*b*", "xxaxxb", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("aa*aa", "aaa", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_limit_says_for_whom_and_how_much() {
        let problems = |yaml: &str| read_text::<Limit>(yaml).err().unwrap_or_default();
        assert_eq!(problems("{namespace: shop, items_per_second: 5}"), "");
        assert_eq!(problems("{pod: '*', bytes_per_second: 1MiB}"), "");
        assert!(problems("{items_per_second: 5}").contains("must say for whom"));
        assert!(problems("{pod: a}").contains("must say how much"));
        assert!(problems("{pods: a, items_per_second: 5}").contains("did you mean `pod`?"));
    }

    #[test]
    fn a_limit_is_for_the_pods_that_it_names() {
        let limit =
            |namespace: &str, pod: &str| Limit { namespace: namespace.into(), pod: pod.into(), ..Limit::default() };
        let pod = PodName { uid: "u".into(), namespace: "shop".into(), name: "cart-1".into() };
        assert!(limit("shop", "").is_for(Some(&pod)) && !limit("shop", "").is_for(None));
        assert!(limit("", "cart-*").is_for(Some(&pod)) && !limit("other", "cart-*").is_for(Some(&pod)));
        assert!(limit("", "*").is_for(None) && !limit("*", "*").is_for(None));
    }
}
