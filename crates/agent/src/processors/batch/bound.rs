//! The setting `send_batch_max_bytes`: a number of bytes, or `off`.

use crate::settings::{ByteSize, Node, Reader, Setting, Shape, Yaml};

/// How many bytes a batch may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteBound {
    /// Any number.
    Off,
    /// So many.
    At(ByteSize),
}

impl Default for ByteBound {
    /// gRPC servers take messages of 4 MiB unless told otherwise; the margin is for attributes that are added behind
    /// this processor.
    fn default() -> Self {
        ByteBound::At(ByteSize::kib(4096 - 64))
    }
}

impl ByteBound {
    /// The number, if there is one.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        match self {
            ByteBound::Off => None,
            ByteBound::At(size) => Some(size.as_usize()).filter(|bytes| *bytes > 0),
        }
    }
}

impl Setting for ByteBound {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Yaml::Bool(false) => Some(ByteBound::Off),
            Yaml::Str(word) if word.eq_ignore_ascii_case("off") => Some(ByteBound::Off),
            _ => ByteSize::read(node, cx).map(ByteBound::At),
        }
    }

    fn write(&self) -> Option<Yaml> {
        match self {
            ByteBound::Off => Some(Yaml::Str("off".to_owned())),
            ByteBound::At(size) => size.write(),
        }
    }

    fn shape() -> Shape {
        Shape::plain("a number of bytes or `off`", "4MiB")
    }
}
