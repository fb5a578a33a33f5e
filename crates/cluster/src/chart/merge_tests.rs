//! The tree says for every choice what was rendered for it.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What the tree says for one choice.
fn chosen(branch: &Branch, point: &Point) -> Option<Value> {
    match branch {
        Branch::Always(node) => Some(built(node, point)),
        Branch::When(arms) => {
            let arm = arms.iter().find(|arm| arm.alternatives.contains(&point[arm.option]))?;
            arm.then.as_ref().and_then(|then| chosen(then, point))
        }
    }
}

fn built(node: &Node, point: &Point) -> Value {
    match node {
        Node::Constant(value) => value.clone(),
        Node::Map(entries) => {
            entries.iter().filter_map(|(key, branch)| Some((key.clone(), chosen(branch, point)?))).collect()
        }
        Node::List(items) => items.iter().filter_map(|branch| chosen(branch, point)).collect(),
        Node::Text(lines) => {
            let line = |branch| Some(format!("{}\n", chosen(branch, point)?.as_str().unwrap()));
            Value::from(lines.iter().filter_map(line).collect::<String>())
        }
    }
}

/// Renders `object` at every point of `sizes` and holds the tree against each.
fn check(sizes: &[u8], object: impl Fn(&Point) -> Option<Value>) -> Option<Branch> {
    let mut points: Vec<Point> = vec![vec![]];
    for size in sizes {
        points = points.iter().flat_map(|p| (0..*size).map(move |a| [p.as_slice(), &[a]].concat())).collect();
    }
    let values: Vec<Option<Value>> = points.iter().map(object).collect();
    let samples = points.iter().zip(&values).map(|(point, value)| Sample { point, value: value.as_ref() });
    let tree = merge(&samples.collect::<Vec<_>>());
    for (point, value) in points.iter().zip(&values) {
        assert_eq!(tree.as_ref().and_then(|tree| chosen(tree, point)), *value, "{point:?}");
    }
    tree
}

#[test]
fn what_is_always_the_same_has_no_condition() {
    let tree = check(&[2, 3], |_| Some(json!({"kind": "Service", "ports": [4317, 4318]})));
    assert!(matches!(tree, Some(Branch::Always(Node::Constant(_)))));
}

#[test]
fn a_difference_stands_under_the_choice_it_depends_on_and_nowhere_else() {
    let tree = check(&[3, 2], |point| {
        let cpu = ["50m", "100m", "200m"][usize::from(point[0])];
        Some(json!({"cpu": cpu, "kind": "a"}))
    });
    let Some(Branch::Always(Node::Map(entries))) = tree else { panic!("{tree:?}") };
    let Branch::When(arms) = &entries[0].1 else { panic!("{entries:?}") };
    assert!(arms.iter().all(|arm| arm.option == 0 && arm.alternatives.len() == 1), "{arms:?}");
    assert!(matches!(&entries[1].1, Branch::Always(Node::Constant(_))));
}

#[test]
fn alternatives_with_the_same_outcome_share_an_arm() {
    let tree = check(&[3], |point| (point[0] != 1).then(|| json!("local")));
    let Some(Branch::When(arms)) = tree else { panic!("{tree:?}") };
    assert_eq!(arms.len(), 2);
    assert_eq!(arms[0].alternatives, [0, 2]);
    assert_eq!(arms[1].then, None);
}

#[test]
fn lists_are_matched_by_name_and_text_by_line() {
    check(&[2, 2], |point| {
        let mut ports = vec![json!({"name": "grpc", "port": 4317})];
        if point[0] == 1 {
            ports[0]["hostPort"] = json!(4317);
            ports.insert(0, json!({"name": "first"}));
        }
        let text = format!("a: 1\nb: {}\n", point[1]);
        Some(json!({"ports": ports, "text": text}))
    });
}

#[test]
fn maps_without_a_common_key_are_one_or_the_other() {
    let tree = check(&[2, 2], |point| Some(if point[0] == 0 { json!({"ours": point[1]}) } else { json!({"own": 1}) }));
    assert!(matches!(&tree, Some(Branch::When(arms)) if arms.len() == 2), "{tree:?}");
}

#[test]
fn an_order_that_depends_on_a_choice_is_kept() {
    check(&[2], |point| Some(if point[0] == 0 { json!(["a", "b"]) } else { json!(["b", "a"]) }));
}

proptest! {
    /// Objects whose leaves depend on the choices in any way.
    #[test]
    fn the_tree_says_for_every_choice_what_was_rendered(table in proptest::collection::vec(0u8..5, 12 * 4)) {
        check(&[3, 2, 2], |point| {
            let row = usize::from(point[0]) * 4 + usize::from(point[1]) * 2 + usize::from(point[2]);
            let cell = |column: usize| table[row * 4 + column];
            if cell(0) == 0 {
                return None;
            }
            let items: Vec<Value> = (0..cell(1)).map(|n| json!({"name": n, "value": cell(2)})).collect();
            Some(json!({"items": items, "leaf": cell(3), "text": format!("x\n{}\n", cell(3))}))
        });
    }
}
