//! What the agent's ServiceAccount may do, as the API server's authorizer says.

use serde::Deserialize;
use serde_json::json;

use super::reader::{Reader, Seen, Wanted};
use super::right::Right;

/// A right that the agent needs, and whether it has it.
#[derive(Clone, Debug)]
pub struct Reviewed {
    /// With one verb.
    pub right: Right,
    /// Whether the account has it.
    pub allowed: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Review {
    status: ReviewStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReviewStatus {
    allowed: bool,
}

/// Asks for each verb of each right.
pub(super) async fn read(reader: &Reader, namespace: &str, account: &str, needs: &[Right]) -> Seen<Vec<Reviewed>> {
    let wanted = Wanted {
        what: format!("what the service account {namespace}/{account} may do"),
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
        right: Right::everywhere("create", "authorization.k8s.io", "subjectaccessreviews"),
    };
    let mut reviewed = Vec::new();
    for need in needs {
        for verb in &need.verbs {
            let right = Right { verbs: vec![verb.clone()], ..need.clone() };
            match reader.post::<Review>(&wanted, &question(namespace, account, &right)).await {
                Seen::Known(answer) | Seen::Part(answer, _) => {
                    reviewed.push(Reviewed { right, allowed: answer.status.allowed });
                }
                Seen::Unseen(unseen) => return Seen::Unseen(unseen),
            }
        }
    }
    Seen::Known(reviewed)
}

fn question(namespace: &str, account: &str, right: &Right) -> serde_json::Value {
    let (resource, sub) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("system:serviceaccount:{namespace}:{account}"),
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
            "resourceAttributes": {
                "verb": right.verbs.first(),
                "group": right.group,
                "resource": resource,
                "subresource": sub,
                "name": right.name,
                "namespace": right.namespace,
            },
        },
    })
}
