//! The room's one error: which phase, which plugin, whose fault.

use crate::artifact::ARTIFACT_BYTES_MAX;
use crate::engine::INSTANCES_MAX;
use sluice_core::{Blame, Digest, FaultCode, PluginKind};
use std::fmt;
use std::path::PathBuf;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// When it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before it was known what the artifact is: reading, parsing, compiling, setting the sandbox up.
    Load,
    /// The artifact is not what was pinned or asked for.
    Check,
    /// A call into an admitted plugin gave no usable answer.
    Call,
}

/// Why a plugin could not be loaded, was refused, or gave no usable answer.
///
/// It never holds text that a running plugin chose: a redactor's own words could hold a secret. Names of imports
/// and exports, which are static parts of the artifact, are shown where they are made of harmless characters.
#[derive(Debug)]
pub struct PluginError {
    phase: Phase,
    plugin: Option<(Option<PluginKind>, Digest)>,
    // Boxed: errors are rare, and a small `Result` is cheaper to return on every call.
    cause: Box<Cause>,
}

impl PluginError {
    /// In which phase it failed.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// SHA-256 of the artifact, where one had been read.
    pub fn digest(&self) -> Option<Digest> {
        self.plugin.map(|(_, digest)| digest)
    }

    /// Which kind of plugin it was loaded as, where that is known.
    pub fn kind(&self) -> Option<PluginKind> {
        self.plugin.and_then(|(kind, _)| kind)
    }

    /// The code to record. Always present in the call phase.
    pub fn fault_code(&self) -> Option<FaultCode> {
        match &*self.cause {
            Cause::Fault(code) | Cause::Describe(code) => Some(*code),
            Cause::Busy | Cause::Host(_) => Some(FaultCode::HostFailure),
            _ => None,
        }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match &*self.cause {
            Cause::Fault(code) | Cause::Describe(code) => code.blame(),
            Cause::Read { .. } | Cause::NotAFile { .. } | Cause::Pin { .. } | Cause::WrongKind { .. } => {
                Blame::Policy
            }
            Cause::Engine(_) | Cause::CacheDir { .. } | Cause::Busy | Cause::Host(_) => Blame::Host,
            _ => Blame::Plugin,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        self.cause.hint().map(str::to_owned)
    }

    pub(crate) fn load(cause: Cause) -> PluginError {
        PluginError { phase: cause.phase(), plugin: None, cause: Box::new(cause) }
    }

    pub(crate) fn about(kind: Option<PluginKind>, digest: Digest, cause: Cause) -> PluginError {
        PluginError { phase: cause.phase(), plugin: Some((kind, digest)), cause: Box::new(cause) }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.phase {
            Phase::Load => "cannot be loaded",
            Phase::Check => "is refused",
            Phase::Call => "gave no answer",
        };
        match self.plugin {
            Some((Some(kind), digest)) => write!(f, "{kind} {} {verb}: {}", digest.short(), self.cause),
            Some((None, digest)) => write!(f, "plugin {} {verb}: {}", digest.short(), self.cause),
            None => write!(f, "{}", self.cause),
        }
    }
}

impl std::error::Error for PluginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.cause)
    }
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("not a regular file: `{}`", path.display())]
    NotAFile { path: PathBuf },
    #[error("larger than {ARTIFACT_BYTES_MAX} bytes: {bytes}")]
    TooLarge { bytes: u64 },
    #[error("the sandbox cannot be set up")]
    Engine(#[source] BoxError),
    #[error("the code cache cannot be used: `{}` {why}", path.display())]
    CacheDir { path: PathBuf, why: &'static str, source: Option<std::io::Error> },
    #[error("not a WebAssembly component")]
    NotWasm,
    #[error("WebAssembly text, not the binary form")]
    WasmText,
    #[error("a core module, not a component")]
    CoreModule,
    #[error("a malformed component")]
    Malformed(#[source] BoxError),
    #[error("the compiler refuses it")]
    Compile(#[source] BoxError),

    #[error("its sha256 is not the pinned one: pinned {pinned}, found {found}")]
    Pin { pinned: Digest, found: Digest },
    #[error("it imports what plugins are not given: {names}")]
    Imports { names: String },
    #[error("it exports none of the plugin interfaces")]
    NoKind,
    #[error("it exports more than one plugin interface")]
    SeveralKinds,
    #[error("it is a {found}, not a {wanted}")]
    WrongKind { wanted: PluginKind, found: PluginKind },
    #[error("contract version not supported: {found}")]
    Version { found: String },
    #[error("it does not export `{missing}`")]
    Missing { missing: &'static str },
    #[error("its functions do not have the contract's types")]
    Types(#[source] BoxError),
    #[error("it cannot be linked")]
    Link(#[source] BoxError),
    #[error("it failed while describing itself: {0}")]
    Describe(FaultCode),
    #[error("its description breaks the contract: {0}")]
    Description(&'static str),

    #[error("{0}")]
    Fault(FaultCode),
    #[error("{INSTANCES_MAX} instances are running already")]
    Busy,
    #[error("the host could not run it")]
    Host(#[source] BoxError),
}

impl Cause {
    fn phase(&self) -> Phase {
        match self {
            Cause::Read { .. }
            | Cause::NotAFile { .. }
            | Cause::TooLarge { .. }
            | Cause::Engine(_)
            | Cause::CacheDir { .. }
            | Cause::NotWasm
            | Cause::WasmText
            | Cause::CoreModule
            | Cause::Malformed(_)
            | Cause::Compile(_) => Phase::Load,
            Cause::Pin { .. }
            | Cause::Imports { .. }
            | Cause::NoKind
            | Cause::SeveralKinds
            | Cause::WrongKind { .. }
            | Cause::Version { .. }
            | Cause::Missing { .. }
            | Cause::Types(_)
            | Cause::Link(_)
            | Cause::Describe(_)
            | Cause::Description(_) => Phase::Check,
            Cause::Fault(_) | Cause::Busy | Cause::Host(_) => Phase::Call,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Cause::CacheDir { .. } => "make it a folder of your own with `chmod 700`",
            Cause::NotWasm | Cause::Malformed(_) => "a plugin is a WebAssembly component in its binary form",
            Cause::WasmText => "`wasm-tools parse` turns text into the binary form",
            Cause::CoreModule => {
                "link with `wasm-component-ld`, or wrap the module with `wasm-tools component new`"
            }
            Cause::Pin { .. } => {
                "if the change is meant, look at it with `sluice plugin inspect`, then `sluice plugin lock`"
            }
            Cause::Imports { .. } => {
                "a plugin is pure: it may import types, and plain WASI 0.2 where its toolchain insists on it"
            }
            Cause::NoKind => {
                "export one of `sluicegate:plugin/routing`, `redaction`, `filtering`, `probing`, version 0.1"
            }
            Cause::Version { .. } => "this host speaks contract version 0.1",
            Cause::WrongKind { .. } => "look at what it is with `sluice plugin inspect`",
            Cause::Describe(FaultCode::OutOfFuel) | Cause::Fault(FaultCode::OutOfFuel) => {
                "raise the plugin's fuel limit in the policy, or make it do less"
            }
            Cause::Fault(FaultCode::OutOfMemory) => "raise the plugin's memory limit in the policy",
            Cause::Fault(FaultCode::TooMuchOutput) => "raise the plugin's transfer limit in the policy",
            Cause::Fault(FaultCode::DeclinedBadConfig) => "look at the plugin's configuration in the policy",
            _ => return None,
        })
    }
}
