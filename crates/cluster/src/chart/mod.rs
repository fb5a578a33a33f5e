//! `--output helm`: a chart, made from the same code that renders the manifests.
//!
//! Every object is rendered for the choices that the chart offers; where the renderings differ, the template has a condition
//! on the choice that makes the difference. So the chart cannot say anything else than `otel-agent manifests` does.

use anyhow::Result;

use crate::folder::File;
use crate::manifests::{CONFIG_KEY, Object};
use crate::values::Values;

/// What a person may choose, and by what mark it is found again.
mod options;

/// What is refused of values that contradict each other.
mod refusals;

/// The renderings that the templates are made from.
mod samples;

/// One tree out of many renderings.
mod merge;

/// A tree as the text of a template.
mod text;

/// `values.yaml` and its schema.
mod values_file;

/// Chart.yaml, helpers and NOTES.txt.
mod notes;

pub use samples::WorkloadOf;

/// The files of the chart, with what was chosen as its defaults.
///
/// # Errors
///
/// When the configuration is not one that the agent takes.
pub fn files(values: &Values, workload: &WorkloadOf<'_>) -> Result<Vec<File>> {
    let (choices, markers) = (options::choices(), options::markers());
    let samples = samples::samples(&choices, workload)?;
    let mut writer = text::Writer::new(&choices, &markers);
    let mut files = vec![
        File::new("Chart.yaml", notes::chart_yaml()),
        File::new("values.yaml", values_file::values_file(values)),
        File::new("values.schema.json", values_file::schema(values)),
        File::new("templates/NOTES.txt", notes::NOTES),
        File::new("templates/_helpers.tpl", notes::helpers()),
        File::new(
            "templates/refused.yaml",
            refused(&choices, &samples.refused) + &refusals::template(workload)? + OF_HELM,
        ),
    ];
    for ((kind, name), objects) in &samples.objects {
        let seen = samples.points.iter().zip(objects);
        let seen: Vec<merge::Sample<'_>> = seen
            .map(|(point, object)| merge::Sample { point, value: object.as_ref().map(|object| &object.value) })
            .collect();
        let Some(tree) = merge::merge(&seen) else { continue };
        let example = objects.iter().flatten().next();
        let template = writer.template(&tree, &note(objects));
        let template =
            if *kind == "ConfigMap" && name == crate::manifests::NAME { with_config(&template) } else { template };
        let path = example.map(crate::kustomize::file_name).unwrap_or_default();
        files.push(File::new(format!("templates/{}", path.replace(&format!("-{}", options::NAMESPACE), "")), template));
    }
    let twice =
        files.iter().enumerate().find(|(number, file)| files[..*number].iter().any(|other| other.path == file.path));
    if let Some((_, file)) = twice {
        anyhow::bail!("two objects have the template {}", file.path);
    }
    files.extend(std::mem::take(&mut writer.files).into_iter().map(|(path, text)| File::new(path, text)));
    Ok(files)
}

/// The reason of an object, where it is the same whatever is chosen.
fn note(objects: &[Option<Object>]) -> String {
    let mut notes = objects.iter().flatten().map(|object| object.note.as_str());
    let first = notes.next().unwrap_or_default();
    if notes.all(|note| note == first) { first.to_owned() } else { String::new() }
}

/// Choices that do not go together end the rendering with what is wrong.
fn refused(choices: &[options::Choice], refused: &[(Vec<(usize, u8)>, String)]) -> String {
    let condition = |(choice, alternative): &(usize, u8)| {
        let alternative = choices.get(*choice)?.alternatives.get(usize::from(*alternative))?;
        Some(format!("({})", alternative.condition))
    };
    let mut out = "{{/* Choices that do not go together. */}}\n".to_owned();
    for (chosen, what) in refused {
        let conditions: Vec<String> = chosen.iter().filter_map(condition).collect();
        let what = what.replace(options::STORAGE, "the folder of `storage.path`");
        out.push_str(&format!(
            "{{{{- if and {} }}}}\n{{{{- fail {what:?} }}}}\n{{{{- end }}}}\n",
            conditions.join(" ")
        ));
    }
    out
}

/// What only Helm can see.
const OF_HELM: &str = r#"{{- if and (eq .Values.routing "prefer-local") (semverCompare "<1.35.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail "routing: prefer-local takes Kubernetes 1.35; use `local`" }}
{{- end }}
"#;

/// A configuration of a person's own goes in the place of the default one.
fn with_config(template: &str) -> String {
    let key = format!("  {CONFIG_KEY}: |\n");
    let Some((before, text)) = template.split_once(&key) else { return template.to_owned() };
    let own = "    {{- if kindIs \"string\" .Values.config }}\n    {{- .Values.config | trim | nindent 4 }}\n    {{- else if .Values.config }}\n    \
               {{- toYaml .Values.config | nindent 4 }}\n    {{- else }}\n";
    let (text, after) = text.split_at(text.find("\n{{- end }}").map_or(text.len(), |end| end + 1));
    format!("{before}{key}{own}{text}    {{{{- end }}}}\n{after}")
}
