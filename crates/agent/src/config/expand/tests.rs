//! What becomes of `${…}`, case by case.

use super::{Expander, find_uri};
use crate::config::Sources;
use crate::settings::{FileId, Problems, Yaml, parse};

fn check(yaml: &str, expected: &str) {
    let variable = |name: &str| {
        let known = [
            ("A", "a"),
            ("OCTAL", "0123"),
            ("TRUE", "true"),
            ("EMPTY", ""),
            ("NAME", "A"),
            ("NESTED", "${env:A}"),
            ("LOOP", "${env:LOOP}"),
            ("BOMB", "${env:BOMB}${env:BOMB}"),
            ("MAP", "{x: 1}"),
            ("BAD", "[unclosed"),
            ("DOLLARS", "p$$d"),
            ("QUOTED", "\"q\""),
        ];
        known.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let (mut sources, mut problems) = (Sources::default(), Problems::default());
    sources.add("test", yaml);
    let mut tree = parse(FileId(0), yaml, &mut problems).unwrap();
    let mut expander = Expander {
        variable: &variable,
        sources: &mut sources,
        problems: &mut problems,
        retrievals: 0,
        bytes: 0,
        failed: false,
        exhausted: false,
    };
    expander.node(&mut tree, "", 0);
    let mut got = shown(&tree);
    if !problems.is_empty() {
        got = format!("{got} | {}", problems.lines());
    }
    assert_eq!(got, expected, "{yaml}");
}

fn shown(node: &crate::settings::Node) -> String {
    let text = node.expansion.as_ref().map(|expansion| format!(" ({})", expansion.text)).unwrap_or_default();
    let value = match &node.value {
        Yaml::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        value => format!("{value:?}"),
    };
    format!("{value}{text}")
}

#[test]
fn follows_the_collectors_rules() {
    check("${env:A}", "Str(\"a\") (a)");
    check("${A}", "Str(\"a\") (a)");
    check("$A", "Str(\"$A\")");
    check("${env:NO:-text}", "Str(\"text\") (text)");
    check("${env:NO:-}", "Null ()");
    check("${env:EMPTY:-x}", "Null () | note: the environment variable `EMPTY` is empty");
    check("${env:OCTAL}", "Int(83) (0123)");
    check("${env:TRUE}", "Bool(true) (true)");
    check("x${env:TRUE}", "Str(\"xtrue\") (xtrue)");
    check("${env:${env:NAME}}", "Str(\"a\") (a)");
    check("${env:NESTED}", "Str(\"a\") (a)");
    check("${env:QUOTED}", "Str(\"\\\"q\\\"\") (\"q\")");
    check("${env:BAD}", "Str(\"[unclosed\") ([unclosed)");
    check("${MAP}", "{x: Int(1)} ({x: 1})");
    check("x${MAP}", "Str(\"x{x: 1}\") (x{x: 1})");
    check("${yaml:5}", "Int(5) (5)");
    check("a$$b", "Str(\"a$b\")");
    check("$${A}", "Str(\"${A}\")");
    check("$$${A}", "Str(\"$a\") ($a)");
    check("$${A} ${A}", "Str(\"${A} ${A}\")");
    check("${env:DOLLARS}", "Str(\"p$d\") (p$d)");
    check("x: ${A}\n${A}: 1", "{x: Str(\"a\") (a), ${A}: Int(1)}");
}

#[test]
fn says_what_cannot_be_expanded() {
    check(
        "${NO}",
        "Null () | warning: the environment variable `NO` is not set, so the value is empty; set it, or write a default: `${env:NO:-…}`",
    );
    check(
        "${env:1X}",
        "Null | environment variable \"1X\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$; write `$${…}` for the text itself",
    );
    check(
        "${HOST:-x}",
        "Null | `${HOST:-x}` is not understood; a default needs the scheme `env:`; write `${env:HOST:-x}`",
    );
    check(
        "${MY_HOST:-x}",
        "Null | `${MY_HOST:-x}` is not understood; a default needs the scheme `env:`; write `${env:MY_HOST:-x}`",
    );
    check(
        "${s3:bucket}",
        "Null | scheme \"s3\" is not supported for uri \"s3:bucket\"; otel-agent reads `file:`, `env:` and `yaml:`; a plain path is a file",
    );
    check(
        "${http://x/y}",
        "Null | the Collector reads `http://x/y` over the network, otel-agent does not; fetch it to a file first (an init container, a ConfigMap) and pass the path",
    );
    check("${env:A$B}", "Null | the uri \"env:A$B\" contains unsupported characters ('$')");
    check("${LOOP}", "Null | too many recursive expansions; does a file or a variable refer to itself?");
    check("${BOMB}", "Null | too many recursive expansions; does a file or a variable refer to itself?");
}

#[test]
fn finds_the_innermost_reference_first() {
    assert_eq!(find_uri("${env:${env:X}}"), Some("${env:X}"));
    assert_eq!(find_uri("a} ${b}"), Some("${b}"));
    assert_eq!(find_uri("$${a} ${b}"), None);
    assert_eq!(find_uri("${a"), None);
}

#[test]
fn the_line_break_at_the_end_of_a_file_stays_with_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("value").display().to_string();
    std::fs::write(&path, "text\n").unwrap();
    check(&format!("${{file:{path}}}"), "Str(\"text\\n\") (text\n)");
    std::fs::write(&path, "5\n").unwrap();
    check(&format!("${{file:{path}}}"), "Int(5) (5\n)");
}

#[test]
fn a_file_that_includes_itself_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.yaml").display().to_string();
    std::fs::write(&path, format!("a: ${{file:{path}}}\nb: ${{file:{path}}}\n")).unwrap();
    let (mut sources, mut problems) = (Sources::default(), Problems::default());
    let yaml = format!("${{file:{path}}}");
    let mut tree = parse(sources.add("test", yaml.as_str()), &yaml, &mut problems).unwrap();
    assert!(!super::expand(&mut tree, &|_| None, &mut sources, &mut problems));
    assert!(problems.lines().contains("too many recursive expansions"));
}
