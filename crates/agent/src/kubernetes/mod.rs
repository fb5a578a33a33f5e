//! Which pods run on this node, and what is known of them.
//!
//! A [`Source`] says where that is learnt from: the API server, the node's kubelet, or a file. [`Directories`] opens a
//! [`Directory`] for each source; it looks up pods by address, UID, container and name while its feed keeps it up to date.
//! An [`Interest`] says what is wanted beyond that, and so which [`Right`]s are needed.

/// What an address is, where it is not a pod's.
mod address;

/// Labels and annotations: which are wanted, which are kept.
mod kept;

/// A pod as others see it.
mod pod;

/// What somebody wants to know.
mod interest;

/// Permissions.
mod right;

/// Where pods are learnt from.
mod source;

/// The little of an object that is read.
mod manifest;

/// What a pod belongs to.
mod owners;

/// Namespaces, nodes and controllers.
mod objects;

/// Pods by UID, and pointers to them.
mod index;

/// The pods for those who ask.
mod directory;

/// Clients for the API server and the kubelet.
mod connection;

/// What keeps a directory up to date.
mod feed;

pub use address::{AddressClass, plain};
pub use directory::{Directories, Directory};
pub use interest::{Interest, Kind, ObjectInterest};
pub use kept::{Kept, Keys};
pub use pod::{Addresses, Container, ContainerKind, Instance, Object, Owner, Owners, Phase, Pod, Slot};
pub use right::{Right, Trouble};
pub use source::{Auth, Feed, FieldFilter, Filter, GRACE, KubeletSettings, LabelFilter, LabelOp, Rate, Source};
