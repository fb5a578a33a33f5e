//! Reading settings: what is accepted, and every problem in one go.

use std::collections::BTreeMap;

use super::{ByteSize, Endpoint, GoDuration, Reader, Secret, Setting, Toggle, Yaml, read_text, settings, words};

words! {
    /// How much.
    #[derive(Default)]
    enum Level {
        /// Little.
        #[default]
        Basic = "basic",
        /// Much.
        Detailed = "detailed" | "verbose",
    }
}

settings! {
    /// An inner section.
    struct Inner {
        /// How long.
        pub interval: GoDuration = GoDuration::secs(5),
        /// How many.
        pub count: u32 = 10,
    }
    check Inner::check
}

impl Inner {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.count == 0 {
            cx.error_at("count", "`count` must be positive", "");
        }
    }
}

settings! {
    /// A section
    /// of two lines.
    struct Outer {
        /// Where.
        required pub endpoint: Endpoint,
        /// Off unless written.
        pub queue: Toggle<Inner> = Toggle::Off,
        /// On unless turned off, and with a default of its own.
        pub retry: Toggle<Inner> = Toggle::On(Inner { count: 3, ..Inner::default() }),
        /// Plain.
        pub inner: Inner = Inner { count: 7, ..Inner::default() },
        /// Words.
        pub level: Level = Level::Basic,
        /// A name.
        pub name: String = "x".to_owned(),
        /// A list.
        pub list: Vec<String> = Vec::new(),
        /// Headers.
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// A size.
        pub size: ByteSize = ByteSize::mib(20),
        /// A keyword.
        pub r#type: Option<u16> = None,
        /// Numbers.
        pub numbers: Vec<u32> = Vec::new(),
        /// A number.
        pub factor: f64 = 0.5,
    }
    unsupported { "proxy_url" => "set HTTPS_PROXY instead" }
    ignored { "gc" => "there is no garbage collector" }
    removed { "old" => "write `name`" }
}

fn check(yaml: &str, expected: &str) {
    let got = match read_text::<Outer>(yaml) {
        Ok(_) => "ok".to_owned(),
        Err(problems) => problems,
    };
    assert_eq!(got, expected, "{yaml}");
}

#[test]
fn reads_every_kind_of_value() {
    let yaml = "endpoint: ':1'\nqueue:\nretry: {enabled: false}\ninner: {interval: 1m}\nlevel: VERBOSE\nlist: a,b\n\
                headers: {k: v}\nsize: 1KiB\ntype: 5\nfactor: 1\ngc: 1s\nname: n";
    let outer = read_text::<Outer>(yaml).unwrap();
    assert_eq!(outer.endpoint, Endpoint::new("", 1));
    assert_eq!(outer.queue, Toggle::On(Inner { interval: GoDuration::secs(5), count: 10 }));
    assert_eq!(outer.retry, Toggle::Off);
    assert_eq!(outer.inner, Inner { interval: GoDuration::minutes(1), count: 7 });
    assert_eq!(outer.level, Level::Detailed);
    assert_eq!(outer.list, ["a", "b"]);
    assert_eq!(outer.headers["k"].expose(), "v");
    assert_eq!(outer.size, ByteSize::kib(1));
    assert_eq!(outer.r#type, Some(5));
    assert!((outer.factor - 1.0).abs() < f64::EPSILON);
}

#[test]
fn lists_and_maps_have_a_second_form() {
    let outer = read_text::<Outer>("endpoint: a:1\nheaders: [{name: k, value: v}]").unwrap();
    assert_eq!(outer.headers["k"].expose(), "v");
    check(
        "endpoint: a:1\nheaders: [{nam: k}]",
        "headers::0: expected a map of strings, found a mapping; write it like `{key: ${env:TOKEN}}`",
    );
    check(
        "endpoint: a:1\nnumbers: 1,2",
        "numbers: expected a list of whole numbers, found the string `1,2`; write it like `[1000]`",
    );
    check("endpoint: a:1\nold: 1", "old: the Collector has removed the key `old`; write `name`");
}

#[test]
fn a_section_is_read_over_its_own_default() {
    let outer = read_text::<Outer>("endpoint: a:1\nretry: {interval: 1s}").unwrap();
    assert_eq!(outer.retry, Toggle::On(Inner { interval: GoDuration::secs(1), count: 3 }));
}

#[test]
fn finds_every_problem_in_one_go() {
    check(
        "queue: {count: 0, interval: 1d}\nlevel: detaild\nname: 5\nlist: {}\ntype: '5'\nfacto: 1\nproxy_url: x\nsize: -1",
        "facto: unknown key `facto`; did you mean `factor`?\n\
         proxy_url: the Collector has the key `proxy_url`, otel-agent does not yet; set HTTPS_PROXY instead\n\
         endpoint: `endpoint` is missing; add `endpoint: localhost:4317`\n\
         queue::interval: unknown unit \"d\" in duration \"1d\"; write it like `200ms`, `10s` or `1m30s` (units: ns, us, ms, s, m, h)\n\
         level: expected one of basic, detailed, verbose, found the string `detaild`; did you mean `detailed`?\n\
         name: expected a string, found the number `5`; put it in quotes\n\
         list: expected a list of strings, found a mapping; write it like `[text]`\n\
         size: expected a number of bytes, found the number `-1`; write it like `4MiB`\n\
         type: expected a whole number, found the string \"5\"; remove the quotes",
    );
}

#[test]
fn a_section_checks_itself_once_it_is_read() {
    check("endpoint: a:1\nqueue: {count: 0}", "queue::count: `count` must be positive");
    check("endpoint: a:1\nqueue: {enabled: false, count: 0}", "queue::count: `count` must be positive");
    check(
        "endpoint: a:1\nqueue: {enabled: 1}",
        "queue::enabled: expected `true` or `false`, found the number `1`; write it like `true`",
    );
    check("endpoint: a:1\nqueue: [1]", "queue: expected a mapping, found a list; write it like `interval: …`");
}

#[test]
fn duplicate_keys_and_what_is_not_yaml_are_refused() {
    check(
        "endpoint: a:1\nendpoint: b:1",
        "endpoint: the key `endpoint` stands twice in this mapping; first in line 1; remove one of them, or rename it",
    );
    check(
        "endpoint: a:1\nqueue:\n\tcount: 1",
        "a tab is used for indentation; indent with spaces; YAML does not allow tabs here",
    );
}

#[test]
fn aliases_and_merge_keys_are_resolved_under_a_budget() {
    let yaml = "endpoint: a:1\nqueue: &q {count: 4}\nretry: {<<: *q, interval: 1s}\ninner: *q";
    let outer = read_text::<Outer>(yaml).unwrap();
    assert_eq!(outer.retry, Toggle::On(Inner { interval: GoDuration::secs(1), count: 4 }));
    assert_eq!(outer.inner.count, 4);
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(",")));
    }
    let refused = read_text::<Outer>(&bomb).unwrap_err();
    assert!(refused.contains("aliases make this source larger"), "{refused}");
    let deep = "[".repeat(5000);
    assert!(read_text::<Outer>(&deep).is_err());
}

#[test]
fn writes_what_it_reads_and_hides_secrets() {
    let outer = read_text::<Outer>("endpoint: a:1\nheaders: {k: v}").unwrap();
    let Some(Yaml::Map(entries)) = outer.write() else { panic!("a section is written as a mapping") };
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        keys,
        ["endpoint", "queue", "retry", "inner", "level", "name", "list", "headers", "size", "numbers", "factor"]
    );
    assert_eq!(entries[7].value.get("k").unwrap().value, Yaml::Str("[REDACTED]".to_owned()));
    let section = Outer::shape().section.unwrap();
    assert_eq!(section.doc, "A section\nof two lines.");
    assert!(section.fields[0].required && !section.fields[1].required);
}
