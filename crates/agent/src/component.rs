//! What each component promises: what it is (`About`), what it needs before it can start (`Needs`), and how its
//! settings are read and checked. The registries in `receivers`, `processors`, `exporters` and `extensions` are closed
//! enums made from one listing each; validation, `components` and the reference pages read them.

use std::path::PathBuf;

use wire::Signal;

use crate::kubernetes::Right;
use crate::settings::{ComponentId, Endpoint, Node, Reader, Setting, Shape};

/// The settings of a component: made by `settings!`, named `Config`, one in each component's file.
pub trait Component: Setting + Default {
    /// What it is.
    const ABOUT: About;

    /// What it needs before it can start.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What it does for other components that name it by id: an extension that checks callers, for instance.
    fn offers(&self) -> &'static [Role] {
        &[]
    }
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its type, as the Collector spells it today: `otlp_grpc`.
    pub kind: &'static str,
    /// The type's former spelling, which is still accepted: `otlp`.
    pub formerly: Option<&'static str>,
    /// What it does, in a line.
    pub summary: &'static str,
    /// How far it has come.
    pub status: Status,
    /// What it takes or gives; none for extensions.
    pub signals: &'static [Signal],
}

/// How far a component has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its settings and its behaviour stay as they are.
    Stable,
    /// It works; settings may still change with notice.
    Beta,
    /// It works for some; settings may change.
    Alpha,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Stable => "Stable",
            Status::Beta => "Beta",
            Status::Alpha => "Alpha",
        }
    }
}

/// What a component needs before it can start. Validation looks for clashes; deployment and diagnosis read the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// Files and folders of the host.
    pub paths: Vec<HostPath>,
    /// Extensions that it calls by id.
    pub extensions: Vec<ExtensionNeed>,
    /// The most memory it lets the agent use for payload, in bytes, when it is the one that limits it.
    pub memory_limit: Option<u64>,
    /// What its service account must be allowed.
    pub rights: Vec<Right>,
    /// Where it sends to.
    pub upstreams: Vec<Upstream>,
}

/// Where a component sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// gRPC rather than HTTP.
    pub grpc: bool,
    /// With TLS.
    pub tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Something a component listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub endpoint: Endpoint,
    /// TCP or UDP.
    pub transport: Transport,
    /// The key that says so, below the component: `protocols::grpc::endpoint`.
    pub key: &'static str,
}

impl Listener {
    /// A TCP listener.
    #[must_use]
    pub fn tcp(endpoint: &Endpoint, key: &'static str) -> Listener {
        Listener { endpoint: endpoint.clone(), transport: Transport::Tcp, key }
    }
}

/// Which kind of port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A file or folder of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is written.
    pub writes: bool,
    /// The key that says so, below the component.
    pub key: &'static str,
}

/// An extension that a component calls by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionNeed {
    /// Which.
    pub id: ComponentId,
    /// What for.
    pub role: Role,
    /// The key that says so, below the component: `auth::authenticator`.
    pub key: &'static str,
}

/// What an extension does for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It checks who calls.
    ServerAuthenticator,
    /// It says who we are.
    ClientAuthenticator,
    /// It keeps data on disk.
    Storage,
}

impl Role {
    /// What a message calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::ServerAuthenticator => "server authenticator",
            Role::ClientAuthenticator => "client authenticator",
            Role::Storage => "storage extension",
        }
    }
}

/// All components of one kind.
#[derive(Debug)]
pub struct Registry<C: 'static> {
    /// What they are called together: `receiver`.
    pub noun: &'static str,
    /// Those we have.
    pub known: &'static [Known<C>],
    /// Those the Collector has and we do not, with what to do instead.
    pub not_yet: &'static [(&'static str, &'static str)],
}

/// One component of a registry.
#[derive(Debug)]
pub struct Known<C: 'static> {
    /// What it is.
    pub about: About,
    /// Reads its settings, reporting every problem.
    pub read: fn(&Node, &mut Reader<'_>) -> Option<C>,
    /// What its settings are, for the reference.
    pub shape: fn() -> Shape,
}

impl<C> Registry<C> {
    /// The component of a type, in its present or its former spelling.
    #[must_use]
    pub fn find(&self, kind: &str) -> Option<&'static Known<C>> {
        self.known.iter().find(|known| known.about.kind == kind || known.about.formerly == Some(kind))
    }

    /// Every type that can be written, both spellings.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().flat_map(|known| [Some(known.about.kind), known.about.formerly]).flatten()
    }
}

/// All components of one kind, from one listing: a closed enum over their settings and its `REGISTRY`.
///
/// ```text
/// components! {
///     /// The settings of a receiver.
///     pub enum Config "receiver" {
///         Otlp(otlp::Config),
///     }
///     not_yet { "filelog" => "run the Collector beside this agent for log files" }
/// }
/// ```
macro_rules! components {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident $noun:literal { $( $variant:ident($config:ty) ),* $(,)? }
        not_yet { $( $later:literal => $instead:expr ),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $( #[doc = concat!("`", stringify!($config), "`")] $variant(Box<$config>), )*
        }

        impl $name {
            /// All of them.
            pub const REGISTRY: $crate::component::Registry<$name> = $crate::component::Registry {
                noun: $noun,
                known: &[$( $crate::component::Known {
                    about: <$config as $crate::component::Component>::ABOUT,
                    read: |node, cx| {
                        let config = <$config as $crate::settings::Setting>::read(node, cx)?;
                        Some($name::$variant(Box::new(config)))
                    },
                    shape: <$config as $crate::settings::Setting>::shape,
                } ),*],
                not_yet: &[$( ($later, $instead) ),*],
            };

            /// What it is.
            #[must_use]
            pub fn about(&self) -> $crate::component::About {
                match *self {
                    $( $name::$variant(_) => <$config as $crate::component::Component>::ABOUT, )*
                }
            }

            /// What it needs before it can start.
            #[must_use]
            pub fn needs(&self) -> $crate::component::Needs {
                match *self {
                    $( $name::$variant(ref config) => $crate::component::Component::needs(config.as_ref()), )*
                }
            }

            /// What it does for other components.
            #[must_use]
            pub fn offers(&self) -> &'static [$crate::component::Role] {
                match *self {
                    $( $name::$variant(ref config) => $crate::component::Component::offers(config.as_ref()), )*
                }
            }

            /// Its settings as configuration would write them, defaults included.
            #[must_use]
            pub fn write(&self) -> Option<$crate::settings::Yaml> {
                match *self {
                    $( $name::$variant(ref config) => $crate::settings::Setting::write(config.as_ref()), )*
                }
            }
        }
    };
}

pub(crate) use components;
