//! Any text as a configuration: it becomes a tree or problems, `${…}` ends, and what is written of it reads back the same.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the rooms are taken whole; the target calls a part of them"
)]

#[path = "../../crates/agent/src/settings/mod.rs"]
mod settings;

// The folder that the paths inside start from.
#[path = "."]
mod config {
    #[path = "../../crates/agent/src/config/expand.rs"]
    mod expand;
    #[path = "../../crates/agent/src/config/merge.rs"]
    mod merge;
    #[path = "../../crates/agent/src/config/output.rs"]
    mod output;
    #[path = "../../crates/agent/src/config/source.rs"]
    mod source;

    use crate::settings::{Node, Problems};
    pub(crate) use source::Sources;

    /// What is to be loaded; nothing of it matters here.
    pub(crate) struct Request {
        pub(crate) configs: Vec<String>,
        pub(crate) sets: Vec<String>,
    }

    /// What the rooms know of the world around the program.
    pub(crate) struct World<'a> {
        pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    }

    /// Reads a text as `--config` does, with two variables: one plain, one that holds the text itself.
    fn read(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<Node> {
        let (mut sources, mut problems) = (Sources::default(), Problems::default());
        let world = World { variable };
        let tree = source::read_config(&format!("yaml:{text}"), &world, &mut sources, &mut problems)?;
        let mut tree = merge::merge(tree.clone(), tree);
        let expanded = expand::expand(&mut tree, variable, &mut sources, &mut problems);
        (expanded && !problems.any_errors()).then_some(tree)
    }

    pub(crate) fn check(text: &str) {
        let variable = |name: &str| match name {
            "A" => Some("a: [1, x]".to_owned()),
            "B" => Some(text.to_owned()),
            _ => None,
        };
        let Some(tree) = read(text, &variable) else { return };
        let written = output::yaml(&tree, &|_| Some("from somewhere".to_owned()));
        // A key with `::` at the top becomes nested keys, and what is left after many levels may be refused.
        if let Some(again) = read(&written, &variable) {
            assert_eq!(tree, again, "written as:\n{written}");
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        config::check(text);
    }
});
