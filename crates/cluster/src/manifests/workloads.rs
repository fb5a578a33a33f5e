//! What keeps the pods: a DaemonSet, or a Deployment with what protects it from losing all of them at once.

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, Deployment, DeploymentSpec, DeploymentStrategy,
    RollingUpdateDaemonSet, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    PodAffinityTerm, PodAntiAffinity, PodTemplateSpec, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::label_selector;
use super::{Context, NAME, Object, pod};
use crate::values::Mode;

/// So many agents are in a gateway unless something else is chosen.
const REPLICAS: u32 = 2;

pub(super) fn workload(cx: &Context<'_>) -> Vec<Object> {
    match cx.values.mode {
        Mode::Daemonset => vec![daemon_set(cx)],
        Mode::Deployment => [Some(deployment(cx)), disruption_budget(cx)].into_iter().flatten().collect(),
    }
}

fn daemon_set(cx: &Context<'_>) -> Object {
    let (max_surge, max_unavailable, note) = cx.rollout();
    let rolling = RollingUpdateDaemonSet { max_surge: Some(max_surge), max_unavailable: Some(max_unavailable) };
    let strategy = DaemonSetUpdateStrategy { type_: Some("RollingUpdate".to_owned()), rolling_update: Some(rolling) };
    let spec = DaemonSetSpec {
        selector: label_selector(),
        update_strategy: Some(strategy),
        template: pod::template(cx),
        ..DaemonSetSpec::default()
    };
    let object = DaemonSet { metadata: cx.metadata(NAME), spec: Some(spec), ..DaemonSet::default() };
    Object::new(&object, &note)
}

fn deployment(cx: &Context<'_>) -> Object {
    let (max_surge, max_unavailable, note) = cx.rollout();
    let rolling = RollingUpdateDeployment { max_surge: Some(max_surge), max_unavailable: Some(max_unavailable) };
    let strategy = DeploymentStrategy { type_: Some("RollingUpdate".to_owned()), rolling_update: Some(rolling) };
    let mut template = pod::template(cx);
    spread(&mut template);
    let spec = DeploymentSpec {
        replicas: Some(i32::try_from(cx.replicas()).unwrap_or(i32::MAX)),
        selector: label_selector(),
        strategy: Some(strategy),
        template,
        ..DeploymentSpec::default()
    };
    let object = Deployment { metadata: cx.metadata(NAME), spec: Some(spec), ..Deployment::default() };
    Object::new(&object, &note)
}

/// The end of one node or zone shall not end all of them. Where there is only one of either, they run all the same. Nodes are told
/// apart by affinity rather than by a second constraint, because nodes without the label of a zone are not looked at by either.
fn spread(template: &mut PodTemplateSpec) {
    let Some(spec) = &mut template.spec else { return };
    spec.topology_spread_constraints = Some(vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(label_selector()),
        ..TopologySpreadConstraint::default()
    }]);
    let apart = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            topology_key: "kubernetes.io/hostname".to_owned(),
            label_selector: Some(label_selector()),
            ..PodAffinityTerm::default()
        },
    };
    // What somebody has chosen about other pods stays.
    spec.affinity.get_or_insert_default().pod_anti_affinity.get_or_insert_with(|| PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![apart]),
        ..PodAntiAffinity::default()
    });
}

/// With a single agent it would keep its node from ever being drained.
fn disruption_budget(cx: &Context<'_>) -> Option<Object> {
    let spec = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(1)),
        selector: Some(label_selector()),
        ..PodDisruptionBudgetSpec::default()
    };
    let object =
        PodDisruptionBudget { metadata: cx.metadata(NAME), spec: Some(spec), ..PodDisruptionBudget::default() };
    (cx.replicas() > 1).then(|| Object::new(&object, "Nodes are drained one after another, never two agents at once."))
}

impl Context<'_> {
    fn replicas(&self) -> u32 {
        self.values.replicas.unwrap_or(REPLICAS)
    }
}
