//! Family `pods`: pods of the agent that are there and do not serve: no room, no image, crashing, evicted, not ready.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::placement::free;
use super::seeing::{Seeing, at_each_agent};
use super::trouble::{self, Trouble, is_about};
use super::words::{age, brief, count, has, is, list, named};
use super::{Check, Context, Family, Finding};
use crate::snapshot::nodes::Node;
use crate::snapshot::pods::Pod;
use crate::snapshot::quantity::Quantity;
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "pods",
    about: "Pods of the agent that are there and do not serve: no room, no image, crashing, evicted, not ready.",
    checks: &[
        &NO_ROOM,
        &HOST_PORT_TAKEN,
        &POD_PENDING,
        &IMAGE_PULL,
        &CONTAINER_NOT_MADE,
        &VOLUME_MISSING,
        &CRASH_LOOP,
        &LIVENESS_KILLS,
        &NOT_READY,
        &POD_EVICTED,
    ],
    look,
};

static NO_ROOM: Check = Check {
    id: "no-room",
    severity: super::Severity::Error,
    means: "The agent's pod does not fit its node: what it requests is more than is left there.",
    evidence: "What the scheduler says of the pending pod; what the node can give, what is requested there, what the agent \
               requests.",
    remedy: "Request less, if it still fits then; or give the agent a priority class, so that it goes before applications.",
};

static HOST_PORT_TAKEN: Check = Check {
    id: "host-port-taken",
    severity: super::Severity::Error,
    means: "The agent asks for a port of the node that another pod has; with `maxSurge` that other pod is the old agent.",
    evidence: "What the scheduler says of the pending pod; pods of that node with the same host port.",
    remedy: "Without a surge if it is its own old pod; else end the other program or choose another port.",
};

static POD_PENDING: Check = Check {
    id: "pod-pending",
    severity: super::Severity::Error,
    means: "No node takes the agent's pod, for a reason other than room or ports.",
    evidence: "What the scheduler says of the pending pod.",
    remedy: "Depends on the reason.",
};

static IMAGE_PULL: Check = Check {
    id: "image-pull",
    severity: super::Severity::Error,
    means: "The agent's image does not come to the node.",
    evidence: "The state of the container (`ImagePullBackOff`, `ErrImagePull`, `InvalidImageName`) and what the registry said.",
    remedy: "Back to the image that other pods run, if there is one; else name an image that exists.",
};

static CONTAINER_NOT_MADE: Check = Check {
    id: "container-not-made",
    severity: super::Severity::Error,
    means: "The container cannot be made: a ConfigMap or Secret that its environment names is missing, or its command is.",
    evidence: "The state of the container (`CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`).",
    remedy: "Make what is missing.",
};

static VOLUME_MISSING: Check = Check {
    id: "volume-missing",
    severity: super::Severity::Error,
    means: "Something that the pod mounts is not there, most often its ConfigMap.",
    evidence: "Events `FailedMount` of a pod whose containers have not started.",
    remedy: "Make the ConfigMap.",
};

static CRASH_LOOP: Check = Check {
    id: "crash-loop",
    severity: super::Severity::Error,
    means: "The agent ends again and again.",
    evidence: "Restarts, last exit code, and the last line that it wrote.",
    remedy: "Read what it said last; a configuration that does not validate is a finding of its own.",
};

static LIVENESS_KILLS: Check = Check {
    id: "liveness-kills",
    severity: super::Severity::Error,
    means: "The kubelet ends the agent because it does not answer its liveness probe.",
    evidence: "Events `Unhealthy` and `Killing` of the pod.",
    remedy: "A startup probe, if there is none, so that a slow start is no reason; else the address that the health check listens on.",
};

static NOT_READY: Check = Check {
    id: "not-ready",
    severity: super::Severity::Error,
    means: "The agent runs and does not become ready, so that no Service leads to it.",
    evidence: "The condition `Ready` for more than a minute, events `Unhealthy`, what the health check answers.",
    remedy: "Depends on what the probe says.",
};

static POD_EVICTED: Check = Check {
    id: "pod-evicted",
    severity: super::Severity::Warning,
    means: "A node ended the agent because it ran out of memory or disk.",
    evidence: "Pods with the reason `Evicted`, and events of that name in the last 20 minutes.",
    remedy: "A request of memory like its use, and a priority class, so that others go first.",
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    at_each_agent(snapshot, context, of_agent)
}

/// How pods in one kind of trouble are told of.
type Tell = fn(&Seeing<'_>, &Troubled<'_>) -> Finding;

/// Pods in the same trouble.
#[derive(Default)]
struct Troubled<'a> {
    pods: Vec<(&'a Pod, Trouble<'a>)>,
}

fn of_agent(it: &Seeing<'_>) -> Vec<Finding> {
    let mut by_kind: BTreeMap<&str, Troubled<'_>> = BTreeMap::new();
    for pod in it.agent.pods.items() {
        let Some(trouble) = trouble::of(it.agent, pod, it.snapshot.taken) else { continue };
        let check = match trouble {
            Trouble::Unschedulable(said) if said.contains("Insufficient ") || said.contains("Too many pods") => {
                &NO_ROOM
            }
            Trouble::Unschedulable(said) if said.contains("free ports") => &HOST_PORT_TAKEN,
            Trouble::Unschedulable(_) => &POD_PENDING,
            Trouble::Image(..) => &IMAGE_PULL,
            Trouble::Container(..) => &CONTAINER_NOT_MADE,
            Trouble::Volume(_) => &VOLUME_MISSING,
            Trouble::Crash(..) => &CRASH_LOOP,
            Trouble::Liveness(_) => &LIVENESS_KILLS,
            Trouble::NotReady => &NOT_READY,
            Trouble::Evicted => &POD_EVICTED,
            // What is known of memory is told together.
            Trouble::OutOfMemory(..) => continue,
        };
        by_kind.entry(check.id).or_default().pods.push((pod, trouble));
    }
    let told: [(&Check, Tell); 9] = [
        (&NO_ROOM, no_room),
        (&HOST_PORT_TAKEN, host_port_taken),
        (&POD_PENDING, pending),
        (&IMAGE_PULL, image_pull),
        (&CONTAINER_NOT_MADE, not_made),
        (&VOLUME_MISSING, volume_missing),
        (&CRASH_LOOP, crash_loop),
        (&LIVENESS_KILLS, liveness_kills),
        (&NOT_READY, not_ready),
    ];
    let mut findings: Vec<Finding> =
        told.iter().filter_map(|(check, tell)| by_kind.get(check.id).map(|troubled| tell(it, troubled))).collect();
    findings.extend(evicted(it, by_kind.get(POD_EVICTED.id)));
    findings
}

impl<'a> Troubled<'a> {
    fn nodes(&self) -> Vec<&'a str> {
        let mut nodes: Vec<&str> = self.pods.iter().map(|(pod, _)| pod.node().unwrap_or("no node yet")).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    fn names(&self) -> Vec<&'a str> {
        self.pods.iter().map(|(pod, _)| pod.name()).collect()
    }

    /// `pods a, b on n1, n2`
    fn subject(&self) -> String {
        format!("{} on {}", named("pod", &self.names()), list(&self.nodes()))
    }

    fn number(&self) -> String {
        count(self.pods.len(), "agent")
    }

    fn first(&self) -> Option<&(&'a Pod, Trouble<'a>)> {
        self.pods.first()
    }
}

impl Seeing<'_> {
    /// A strategic merge patch of what makes the pods.
    fn patch(&self, patch: &Value) -> String {
        self.kubectl(&format!("patch {} --patch='{patch}'", self.agent.controller.reference()))
    }

    fn container(&self) -> &str {
        self.agent.controller.spec.template.spec.agent().map(|one| one.name.as_str()).unwrap_or_default()
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.snapshot.nodes.items().iter().find(|node| node.name() == name)
    }

    /// Another pod of the agent on the same node that is ready: the one that is to be replaced.
    fn old_one<'b>(&'b self, pod: &Pod) -> Option<&'b Pod> {
        let others = self.agent.pods.items().iter().filter(|other| other.name() != pod.name());
        others.filter(|other| !other.is_over()).find(|other| pod.node().is_some() && other.node() == pod.node())
    }
}

/// Resources that the scheduler says are short.
const RESOURCES: [&str; 3] = ["cpu", "memory", "pods"];

fn no_room(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let spec = &it.agent.controller.spec.template.spec;
    let mut finding = NO_ROOM.found(
        troubled.subject(),
        format!(
            "{} {} not fit {}",
            troubled.number(),
            if troubled.pods.len() == 1 { "does" } else { "do" },
            node_or_nodes(troubled)
        ),
    );
    // Of what is short, what is left where least is left.
    let mut left: BTreeMap<&str, Quantity> = BTreeMap::new();
    for (pod, trouble) in &troubled.pods {
        let (Trouble::Unschedulable(said), Some(node)) = (trouble, pod.node().and_then(|node| it.node(node))) else {
            continue;
        };
        for resource in RESOURCES.into_iter().filter(|resource| lacks(said, resource)) {
            let Some(free) = free(node, it.snapshot.pods.items(), resource) else { continue };
            let (wants, free) =
                (if resource == "pods" { Quantity(1_000) } else { spec.request(resource) }, free.max(Quantity(0)));
            finding = finding.seen(format!(
                "node {} has {} {resource} left of {}, the agent requests {}",
                node.name(),
                free.of(resource),
                node.status.allocatable.get(resource).copied().unwrap_or_default().of(resource),
                wants.of(resource)
            ));
            left.entry(resource).and_modify(|least| *least = (*least).min(free)).or_insert(free);
        }
    }
    if let Some((_, Trouble::Unschedulable(said))) = troubled.first() {
        finding = finding.seen(format!("the scheduler says: {}", brief(said)));
    }
    finding.evidence.truncate(6);
    let surging = troubled.pods.iter().all(|(pod, _)| it.old_one(pod).is_some());
    let because = match surging {
        true => {
            "During a rollout with maxSurge the new agent's requests count beside the old one's, and there is no room for both."
        }
        false => "The requests of all pods on the node are added up; what is left is less than the agent requests.",
    };
    finding = finding.because(because);
    if surging {
        finding = finding.mend(it.patch(&without_surge()), WITHOUT_SURGE);
    }
    if let Some(less) = smaller_requests(&left) {
        let reference = it.agent.controller.reference();
        finding = finding.mend(
            it.kubectl(&format!("set resources {reference} --containers={} --requests={less}", it.container())),
            "Requests no more than is left. Limits stay as they are.",
        );
    }
    if spec.priority_class_name.is_empty() {
        finding = finding.mend(
            it.patch(&json!({"spec": {"template": {"spec": {"priorityClassName": "system-node-critical"}}}})),
            "Lets the agent go before applications, which move to other nodes. Some clusters want a quota for this class first.",
        );
    }
    finding
}

fn lacks(said: &str, resource: &str) -> bool {
    if resource == "pods" { said.contains("Too many pods") } else { said.contains(&format!("Insufficient {resource}")) }
}

fn node_or_nodes(troubled: &Troubled<'_>) -> &'static str {
    if troubled.pods.len() == 1 { "its node" } else { "their nodes" }
}

/// The least that an agent can live with.
const LEAST: [(&str, Quantity); 2] = [("cpu", Quantity(10)), ("memory", Quantity(32 * 1_048_576 * 1_000))];

/// Requests that fit, as kubectl takes them; none if they would be too small, or it is the number of pods that is short.
fn smaller_requests(left: &BTreeMap<&str, Quantity>) -> Option<String> {
    let enough =
        left.iter().all(|(resource, left)| LEAST.iter().any(|(name, least)| name == resource && left >= least));
    let text: Vec<String> = left.iter().map(|(resource, left)| format!("{resource}={}", left.of(resource))).collect();
    (enough && !left.is_empty()).then(|| text.join(","))
}

pub(super) const WITHOUT_SURGE: &str =
    "Replaces each agent after it has ended. Meanwhile its node has none, for a few seconds.";

pub(super) fn without_surge() -> Value {
    json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}})
}

fn host_port_taken(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let spec = &it.agent.controller.spec.template.spec;
    let ports: Vec<u16> = spec
        .containers
        .iter()
        .flat_map(|one| &one.ports)
        .filter_map(|port| host_port(spec.host_network, port))
        .collect();
    let mut finding = HOST_PORT_TAKEN
        .found(troubled.subject(), format!("{} {} for a host port that is taken", troubled.number(), waits(troubled)));
    let mut by_itself = true;
    for (pod, trouble) in &troubled.pods {
        let Trouble::Unschedulable(said) = trouble else { continue };
        let holders: Vec<String> = holders(it, pod, &ports);
        by_itself &= it.old_one(pod).is_some();
        finding = match holders.is_empty() {
            true => finding.seen(format!("the scheduler says: {}", brief(said))),
            false => finding.seen(format!("on {}: {}", pod.node().unwrap_or("its node"), list(&holders))),
        };
    }
    finding.evidence.truncate(6);
    if by_itself && it.agent.controller.is_daemon_set() {
        return finding
            .because("With maxSurge the new agent starts beside the old one, which has the port: it waits for ever.")
            .mend(it.patch(&without_surge()), WITHOUT_SURGE);
    }
    finding
        .because("A port of a node belongs to one pod.")
        .advise("End the other program, or render the agent without host ports (--routing=local) or with others.")
}

fn waits(troubled: &Troubled<'_>) -> &'static str {
    if troubled.pods.len() == 1 { "waits" } else { "wait" }
}

fn host_port(host_network: bool, port: &crate::snapshot::pods::ContainerPort) -> Option<u16> {
    let number = if host_network { port.container_port } else { port.host_port };
    (number != 0).then_some(number)
}

/// Which pods of the node have one of these ports.
fn holders(it: &Seeing<'_>, pod: &Pod, ports: &[u16]) -> Vec<String> {
    let node = pod.node();
    let there = it.snapshot.pods.items().iter().filter(|other| other.name() != pod.name() && !other.is_over());
    there
        .filter(|other| node.is_some() && other.node() == node)
        .filter_map(|other| {
            let own = other.spec.containers.iter().flat_map(|container| &container.ports);
            let same =
                own.filter_map(|port| host_port(other.spec.host_network, port)).find(|port| ports.contains(port))?;
            Some(format!("{} has port {same}", other.metadata.full_name()))
        })
        .collect()
}

fn pending(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let finding = POD_PENDING
        .found(troubled.subject(), format!("{} {} not taken by any node", troubled.number(), is(troubled.pods.len())));
    let said = troubled.pods.iter().filter_map(|(pod, trouble)| match trouble {
        Trouble::Unschedulable(said) => Some(format!("{}: {}", pod.name(), brief(said))),
        _ => None,
    });
    finding.seen_all(said.take(3)).because("The scheduler finds no node for it.").mend(
        it.kubectl(&format!("describe pod {}", troubled.names().first().unwrap_or(&""))),
        "Shows all that is known of it.",
    )
}

fn image_pull(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding =
        IMAGE_PULL.found(troubled.subject(), format!("{} {} no image", troubled.number(), has(troubled.pods.len())));
    let mut container = it.container();
    for (pod, trouble) in &troubled.pods {
        let Trouble::Image(status, waiting) = trouble else { continue };
        container = &status.name;
        let image = wanted_image(pod, &status.name);
        finding = finding.seen(format!("{} on {}: {image}", waiting.reason, pod.node().unwrap_or("no node")));
        if !waiting.message.is_empty() {
            finding = finding.seen(brief(&waiting.message));
        }
    }
    finding.evidence.dedup();
    finding.evidence.truncate(4);
    let bad: Vec<&str> = troubled.pods.iter().map(|(pod, _)| wanted_image(pod, container)).collect();
    let running = it.agent.pods.items().iter().filter(|pod| pod.is_ready()).map(|pod| wanted_image(pod, container));
    let reference = it.agent.controller.reference();
    finding =
        finding.because("The name is wrong, the registry cannot be reached from the node, or it wants credentials.");
    match running.into_iter().find(|image| !bad.contains(image)) {
        Some(image) => finding.mend(
            it.kubectl(&format!("set image {reference} {container}={image}")),
            "Back to the image that other agents run.",
        ),
        None => finding
            .mend(
                it.kubectl(&format!("describe pod {}", troubled.names().first().unwrap_or(&""))),
                "Shows what the registry said, in full.",
            )
            .advise(format!(
                "Then name an image that exists: {} set image {reference} {container}=IMAGE. If the registry wants \
                 credentials, put a pull secret into the service account (imagePullSecrets).",
                it.kubectl("").trim_end()
            )),
    }
}

fn wanted_image<'a>(pod: &'a Pod, container: &str) -> &'a str {
    let all = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    all.into_iter().find(|one| one.name == container).map(|one| one.image.as_str()).unwrap_or_default()
}

fn not_made(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding = CONTAINER_NOT_MADE
        .found(troubled.subject(), format!("the container of {} cannot be made", troubled.number()))
        .because("What the container needs in order to start is not there.");
    let mut missing = None;
    for (_, trouble) in &troubled.pods {
        let Trouble::Container(waiting) = trouble else { continue };
        finding = finding.seen(format!("{}: {}", waiting.reason, brief(&waiting.message)));
        missing = missing.or_else(|| missing_object(&waiting.message));
    }
    finding.evidence.dedup();
    finding.evidence.truncate(4);
    with_missing(it, troubled, finding, missing)
}

fn volume_missing(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding = VOLUME_MISSING
        .found(troubled.subject(), format!("what {} {} is not there", troubled.number(), mounts(troubled)))
        .because("A pod starts when everything that it mounts is there.");
    let mut missing = None;
    for (_, trouble) in &troubled.pods {
        let Trouble::Volume(event) = trouble else { continue };
        finding = finding.seen(format!("{}: {}", event.reason, brief(&event.message)));
        missing = missing.or_else(|| missing_object(&event.message));
    }
    finding.evidence.dedup();
    finding.evidence.truncate(4);
    with_missing(it, troubled, finding, missing)
}

fn mounts(troubled: &Troubled<'_>) -> &'static str {
    if troubled.pods.len() == 1 { "mounts" } else { "mount" }
}

/// `configmap "otel-agent" not found` names what is to be made.
fn missing_object(message: &str) -> Option<(&'static str, String)> {
    let lower = message.to_lowercase();
    let (kind, at) = [("configmap", "configmap \""), ("secret", "secret \"")]
        .into_iter()
        .find_map(|(kind, start)| lower.find(start).map(|at| (kind, at + start.len())))?;
    let (name, rest) = message.get(at..)?.split_once('"')?;
    rest.contains("not found").then(|| (kind, name.rsplit('/').next().unwrap_or(name).to_owned()))
}

fn with_missing(
    it: &Seeing<'_>,
    troubled: &Troubled<'_>,
    finding: Finding,
    missing: Option<(&str, String)>,
) -> Finding {
    match missing {
        Some(("configmap", name)) => finding.mend(
            it.kubectl(&format!("create configmap {name} --from-file=agent.yaml")),
            "Makes the ConfigMap from the file agent.yaml in this folder (otel-agent validate --config=agent.yaml checks it first).",
        ),
        Some((kind, name)) => finding.advise(format!("Make the {kind} {}/{name}.", it.agent.namespace())),
        None => finding
            .mend(it.kubectl(&format!("describe pod {}", troubled.names().first().unwrap_or(&""))), "Shows all that is known of it."),
    }
}

fn crash_loop(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding =
        CRASH_LOOP.found(troubled.subject(), format!("{} {} again and again", troubled.number(), ends(troubled)));
    for (pod, trouble) in troubled.pods.iter().take(3) {
        let Trouble::Crash(status, ended) = trouble else { continue };
        let when = ended.finished_at.map(|at| format!(", {} ago", age(it.snapshot.taken, at))).unwrap_or_default();
        finding = finding.seen(format!(
            "{}: {} restarts, last exit code {}{}{when}",
            pod.name(),
            status.restart_count,
            ended.exit_code,
            exit_in_words(ended.exit_code)
        ));
        finding =
            finding.seen_all(last_words(it.agent, pod, &ended.message).map(|line| format!("it said last: {line}")));
    }
    let (name, container) = (troubled.names().first().copied().unwrap_or_default(), it.container());
    finding
        .because("The agent ends by itself; Kubernetes starts it again, after longer and longer pauses.")
        .mend(
            it.kubectl(&format!("logs {name} --container={container} --previous --tail=50")),
            "Shows what it said before it ended.",
        )
        .mend(
            it.kubectl(&format!("rollout undo {}", it.agent.controller.reference())),
            "If it began with a change of the agent: back to what was before it.",
        )
}

fn ends(troubled: &Troubled<'_>) -> &'static str {
    if troubled.pods.len() == 1 { "ends" } else { "end" }
}

fn exit_in_words(code: i32) -> &'static str {
    match code {
        0 => " (it thought that it was done)",
        1 => " (it could not start)",
        2 => " (wrong arguments)",
        126 | 127 => " (the command is not in the image)",
        134 => " (aborted)",
        137 => " (killed)",
        139 => " (a fault in the program)",
        143 => " (told to end)",
        _ => "",
    }
}

/// The last line of the log of the container that ended, or of its termination message.
fn last_words(agent: &Agent, pod: &Pod, message: &str) -> Option<String> {
    let inside = agent.inside(pod.name());
    let said = inside.and_then(|inside| inside.last_words.as_ref()).and_then(|seen| seen.some());
    let line = said.and_then(|lines| lines.iter().rev().find(|line| !line.trim().is_empty())).cloned();
    let line = line.or_else(|| message.trim().lines().last().map(str::to_owned));
    line.map(|line| brief(&line)).filter(|line| !line.is_empty())
}

fn liveness_kills(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding = LIVENESS_KILLS.found(
        troubled.subject(),
        format!("{} {} ended for not answering the liveness probe", troubled.number(), is(troubled.pods.len())),
    );
    for (pod, trouble) in troubled.pods.iter().take(3) {
        let Trouble::Liveness(event) = trouble else { continue };
        finding = finding.seen(format!("{}: {} ({} times)", pod.name(), brief(&event.message), event.times()));
    }
    let container = it.agent.controller.spec.template.spec.agent();
    let probe = container.filter(|one| one.startup_probe.is_none()).and_then(|one| one.liveness_probe.as_ref());
    match probe.and_then(|probe| probe.http_get.as_ref()) {
        Some(get) => {
            let probe =
                json!({"httpGet": {"path": get.path, "port": get.port}, "periodSeconds": 2, "failureThreshold": 60});
            let container = json!({"name": it.container(), "startupProbe": probe});
            finding.because("There is no startup probe, so that the liveness probe ends whoever starts slowly.").mend(
                it.patch(&json!({"spec": {"template": {"spec": {"containers": [container]}}}})),
                "Gives it two minutes to start.",
            )
        }
        None => finding
            .because("The health check does not answer in time: it listens elsewhere, or the process stands still.")
            .mend(
                it.kubectl(&format!(
                    "logs {} --container={} --previous --tail=50",
                    troubled.names().first().unwrap_or(&""),
                    it.container()
                )),
                "Shows what it said before it was ended.",
            ),
    }
}

fn not_ready(it: &Seeing<'_>, troubled: &Troubled<'_>) -> Finding {
    let mut finding = NOT_READY.found(
        troubled.subject(),
        format!("{} {} and {} not ready", troubled.number(), runs(troubled), is(troubled.pods.len())),
    );
    for (pod, _) in troubled.pods.iter().take(3) {
        let events = it.agent.events.items().iter().filter(|event| event.reason == "Unhealthy" && is_about(event, pod));
        let said = events.max_by_key(|event| event.last()).map(|event| brief(&event.message));
        finding =
            finding.seen(format!("{}: {}", pod.name(), said.unwrap_or_else(|| "the readiness probe fails".to_owned())));
        let health = it.agent.inside(pod.name()).and_then(|inside| inside.health.as_ref());
        finding = finding.seen_all(health.map(|health| match (health.some(), health.unseen()) {
            (Some(answer), _) => format!("asked through the API server its health check answers: {}", brief(answer)),
            (None, unseen) => {
                let said = unseen.map(|unseen| brief(&unseen.message)).unwrap_or_default();
                format!("asked through the API server its health check does not answer: {said}")
            }
        }));
    }
    let first = troubled.names().first().copied().unwrap_or_default();
    finding
        .because("A Service leads to ready pods alone. The agent is ready when it listens and has read which pods are on its node.")
        .mend(it.kubectl(&format!("logs {first} --container={} --tail=50", it.container())), "Shows what it waits for.")
}

fn runs(troubled: &Troubled<'_>) -> &'static str {
    if troubled.pods.len() == 1 { "runs" } else { "run" }
}

fn evicted(it: &Seeing<'_>, troubled: Option<&Troubled<'_>>) -> Option<Finding> {
    let there = troubled.map(|troubled| troubled.pods.as_slice()).unwrap_or_default();
    let mut said: BTreeMap<String, String> = there
        .iter()
        .map(|(pod, _)| {
            (
                pod.name().to_owned(),
                format!("{} on {}: {}", pod.name(), pod.node().unwrap_or_default(), brief(&pod.status.message)),
            )
        })
        .collect();
    let prefix = format!("{}-", it.agent.controller.metadata.name);
    let recent = |event: &&crate::snapshot::events::Event| {
        event.reason == "Evicted"
            && event.involved_object.kind == "Pod"
            && event.involved_object.name.starts_with(&prefix)
            && !super::words::older(it.snapshot.taken, event.last(), trouble::RECENT)
    };
    for event in it.agent.events.items().iter().filter(recent) {
        let name = &event.involved_object.name;
        said.entry(name.clone()).or_insert_with(|| format!("{name}: {}", brief(&event.message)));
    }
    if said.is_empty() {
        return None;
    }
    let names: Vec<&String> = said.keys().collect();
    let spec = &it.agent.controller.spec.template.spec;
    let mut finding = POD_EVICTED
        .found(named("pod", &names), format!("{} {} evicted", count(names.len(), "agent"), if names.len() == 1 { "was" } else { "were" }))
        .seen_all(said.values().take(4).cloned())
        .because("A node that runs out of memory or disk ends those pods first that use more than they request and have a low priority.");
    if spec.priority_class_name.is_empty() {
        finding = finding.mend(
            it.patch(&json!({"spec": {"template": {"spec": {"priorityClassName": "system-node-critical"}}}})),
            "Lets others be ended first. Some clusters want a quota for this class first.",
        );
    }
    if !there.is_empty() {
        let names: Vec<&str> = there.iter().map(|(pod, _)| pod.name()).collect();
        finding =
            finding.mend(it.kubectl(&format!("delete pod {}", names.join(" "))), "Takes away what is left of them.");
    }
    Some(finding)
}
