//! Fields that a server-side apply would change and that somebody else has set: who, and which.

use std::fmt;

use crate::migration::Report;

/// As many fields of one owner are named; a whole configuration can be hundreds.
const NAMED: usize = 8;

/// What one owner has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The name by which it writes: `kubectl-client-side-apply`, `helm`.
    manager: String,
    /// Where: `.data.agent.yaml`.
    fields: Vec<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.fields.iter().take(NAMED).map(String::as_str).collect();
        write!(out, "{}: {}", self.manager, named.join(", "))?;
        match self.fields.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

/// The owners that an answer names; none if it says anything else.
pub(super) fn conflicts(error: &kube::Error) -> Vec<Conflict> {
    let kube::Error::Api(status) = error else { return Vec::new() };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut found: Vec<Conflict> = Vec::new();
    for cause in causes.filter(|cause| cause.reason == "FieldManagerConflict") {
        // conflict with "kubectl-client-side-apply" using apps/v1
        let manager = cause.message.split('"').nth(1).unwrap_or(&cause.message);
        let field = cause.field.clone();
        match found.iter_mut().find(|one| one.manager == manager) {
            Some(one) => one.fields.push(field),
            None => found.push(Conflict { manager: manager.to_owned(), fields: vec![field] }),
        }
    }
    found
}

/// Why nothing was done, and what can be.
pub(super) fn refusal(owned: &[(String, Vec<Conflict>)], report: &Report) -> String {
    let mut out =
        "fields that the migration would set have been set by others, to other values. Nothing was changed:".to_owned();
    let mut by_kubectl = true;
    for (reference, conflicts) in owned {
        out += &format!("\n  {reference}");
        for conflict in conflicts {
            by_kubectl &= conflict.manager.starts_with("kubectl");
            out += &format!("\n    {conflict}");
        }
    }
    out += "\nAdd --force-conflicts to take these fields over. Whoever set them sets them back the next time they are applied: change the \
            values there too";
    if by_kubectl {
        let kubectl = &report.target.kubectl;
        out += &format!(
            ".\nOr let kubectl keep them: otel-agent migrate --manifests-to agent.yaml && {kubectl} apply -f agent.yaml"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(causes: &serde_json::Value) -> kube::Error {
        let status =
            json!({"code": 409, "reason": "Conflict", "message": "Apply failed", "details": {"causes": causes}});
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    fn cause(manager: &str, field: &str) -> serde_json::Value {
        let message = format!("conflict with \"{manager}\" using apps/v1");
        json!({"reason": "FieldManagerConflict", "message": message, "field": field})
    }

    #[test]
    fn each_owner_is_named_once_with_its_fields() {
        let error =
            answer(&json!([cause("helm", ".a"), cause("kubectl-client-side-apply", ".b"), cause("helm", ".c")]));
        let told: Vec<String> = conflicts(&error).iter().map(Conflict::to_string).collect();
        assert_eq!(told, ["helm: .a, .c", "kubectl-client-side-apply: .b"]);
    }

    #[test]
    fn many_fields_are_counted() {
        let causes: Vec<_> = (0..NAMED + 3).map(|number| cause("helm", &format!(".f{number}"))).collect();
        let told = conflicts(&answer(&json!(causes)))[0].to_string();
        assert!(told.contains(".f7 and 3 more") && !told.contains(".f8"), "{told}");
    }

    #[test]
    fn another_conflict_has_no_owner() {
        assert!(conflicts(&answer(&json!([]))).is_empty());
    }
}
