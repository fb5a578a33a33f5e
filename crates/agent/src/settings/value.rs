//! Values of any kind: what an attribute is set to.

use wire::Value;

use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

impl Setting for Value {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Yaml::Null => {
                cx.unexpected(&Self::shape());
                None
            }
            Yaml::Bool(value) => Some(Value::Bool(*value)),
            Yaml::Int(value) => Some(Value::Int(*value)),
            Yaml::Float(value) => Some(Value::Double(*value)),
            Yaml::Str(text) => Some(Value::Str(text.clone())),
            Yaml::Seq(items) => {
                let read: Vec<Option<Value>> =
                    items.iter().enumerate().map(|(at, item)| Value::read(item, &mut cx.item(at, item))).collect();
                read.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            Yaml::Map(entries) => {
                let pair = |entry: &Entry, cx: &mut Reader<'_>| {
                    Some((entry.key.clone(), Value::read(&entry.value, &mut cx.inside(entry))?))
                };
                let read: Vec<Option<(String, Value)>> = entries.iter().map(|entry| pair(entry, cx)).collect();
                read.into_iter().collect::<Option<_>>().map(Value::Map)
            }
        }
    }

    fn write(&self) -> Option<Yaml> {
        Some(match self {
            Value::Bool(value) => Yaml::Bool(*value),
            Value::Int(value) => Yaml::Int(*value),
            Value::Double(value) => Yaml::Float(*value),
            Value::Str(text) => Yaml::Str(text.clone()),
            Value::Bytes(bytes) => Yaml::Str(String::from_utf8_lossy(bytes).into_owned()),
            Value::Array(items) => Yaml::Seq(items.iter().filter_map(Setting::write).map(Node::unwritten).collect()),
            Value::Map(pairs) => {
                let entry = |(key, value): &(String, Value)| Entry::unwritten(key, value.write().unwrap_or_default());
                Yaml::Map(pairs.iter().map(entry).collect())
            }
        })
    }

    fn shape() -> Shape {
        Shape::plain("a value (text, number, boolean, list or map)", "production")
    }
}
