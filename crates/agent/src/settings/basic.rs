//! The plain types as settings: booleans, numbers, text. Strict as the Collector is: `"5"` is not a number.

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

impl Setting for bool {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if let Yaml::Bool(value) = node.value {
            return Some(value);
        }
        cx.unexpected(&Self::shape());
        None
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Bool(*self))
    }

    fn shape() -> Shape {
        Shape::plain("`true` or `false`", "true")
    }
}

impl Setting for String {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if let Some(text) = node.text() {
            return Some(text.to_owned());
        }
        match &node.value {
            Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(_) => {
                cx.error(format!("expected a string, found {}", node.in_words()), "put it in quotes");
            }
            _ => cx.unexpected(&Self::shape()),
        }
        None
    }

    fn read_over(base: Self, node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        // An unset variable is null, but for a string setting it is an empty string, as in the Collector.
        if node.is_null() && node.expansion.is_none() { Some(base) } else { Self::read(node, cx) }
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Str(self.clone()))
    }

    fn shape() -> Shape {
        Shape::plain("a string", "text")
    }

    const SPLITS_AT_COMMAS: bool = true;
}

impl Setting for f64 {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Yaml::Float(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "nobody writes 2^53 where a fraction is asked for")]
            Yaml::Int(value) => Some(value as f64),
            _ => {
                refuse_number(node, cx, &Self::shape());
                None
            }
        }
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Float(*self))
    }

    fn shape() -> Shape {
        Shape::plain("a number", "0.5")
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {
        $(impl Setting for $type {
            fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
                let number = read_whole(node, cx, &Self::shape())?;
                let fits = <$type>::try_from(number).ok();
                if fits.is_none() {
                    let what = format!("{number} is out of range: {} to {} is possible", <$type>::MIN, <$type>::MAX);
                    cx.error(what, "");
                }
                fits
            }

            fn write(&self) -> Option<Yaml> {
                Some(i64::try_from(*self).map_or_else(|_| Yaml::Float(*self as f64), Yaml::Int))
            }

            fn shape() -> Shape {
                Shape::plain("a whole number", "1000")
            }
        })*
    };
}

whole_numbers!(u16, u32, u64, usize, i64);

/// Reads a whole number. A float without a fraction is one, because `1e3` in an environment variable is.
pub(super) fn read_whole(node: &Node, cx: &mut Reader<'_>, shape: &Shape) -> Option<i64> {
    match node.value {
        Yaml::Int(value) => Some(value),
        #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
        Yaml::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i64),
        _ => {
            refuse_number(node, cx, shape);
            None
        }
    }
}

fn refuse_number(node: &Node, cx: &mut Reader<'_>, shape: &Shape) {
    match &node.value {
        Yaml::Str(text) if text.parse::<f64>().is_ok() => {
            cx.error(format!("expected {}, found the string \"{text}\"", shape.name), "remove the quotes");
        }
        _ => cx.unexpected(shape),
    }
}
