//! Problems as people see them: the line, what in it is wrong, and what to do, all of them in one go.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};

use crate::config::source::Sources;
use crate::settings::{Place, Problem, Problems, Severity};

/// Writes all problems and a last line with their number. Empty when there are none. Colour only if `styled`.
#[must_use]
pub fn render(problems: &Problems, sources: &Sources, styled: bool) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for problem in problems.iter() {
        out.push_str(&renderer.render(&[group(problem, sources)]));
        out.push_str("\n\n");
    }
    out.push_str(&count(problems));
    out.push('\n');
    out
}

/// The last line: `2 errors, 1 warning`.
#[must_use]
pub fn count(problems: &Problems) -> String {
    let kinds = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counted = kinds.map(|(severity, word)| match problems.count(severity) {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    });
    counted.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn group<'a>(problem: &'a Problem, sources: &'a Sources) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let shown = excerpt(problem.place, sources);
    let title = match (&shown, problem.path.is_empty()) {
        (None, false) => format!("{}: {}", problem.path, problem.what),
        _ => problem.what.clone(),
    };
    let mut group = Group::with_title(level.primary_title(normalize_untrusted_str(&title)));
    if let Some(shown) = shown {
        let label = (!problem.path.is_empty()).then_some(problem.path.as_str());
        let mark = AnnotationKind::Primary.span(shown.mark).label(label);
        let snippet = Snippet::source(shown.line).line_start(shown.number).path(shown.name).annotation(mark);
        group = group.element(snippet);
    }
    if !problem.remedy.is_empty() {
        group = group.element(Level::HELP.message(normalize_untrusted_str(&problem.remedy)));
    }
    group
}

/// The line that a problem stands in.
struct Excerpt<'a> {
    name: &'a str,
    line: &'a str,
    number: usize,
    mark: std::ops::Range<usize>,
}

/// Finds the line of a place. What goes on in the next line is marked up to the end of this one.
fn excerpt(place: Place, sources: &Sources) -> Option<Excerpt<'_>> {
    let source = sources.get(place.file)?;
    let text = source.text.as_str();
    let start = floor(text, place.start as usize);
    let begin = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(begin..)?.split('\n').next()?.trim_end_matches('\r');
    let from = floor(line, start - begin);
    let to = floor(line, (place.end as usize).saturating_sub(begin)).max(from);
    let mark = if to == from && to < line.len() { from..ceiling(line, from + 1) } else { from..to };
    Some(Excerpt { name: &source.name, line, number: place.line.max(1) as usize, mark })
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The nearest boundary of a character at or behind `at`.
fn ceiling(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
