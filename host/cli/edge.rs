//! Where the program touches its surroundings: environment, clock, entropy, the operator's file. Everything
//! past this file is handed what it needs, which is what makes replay and tests easy.

use crate::failure::Failure;
use sluice_core::{Secret, Timestamp};
use sluice_gateway::{Clock, Entropy};
use sluice_governance::KnownValues;
use sluice_provider::OperatorFile;
use sluice_provider::keys::known_secrets;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names of variables whose values are guarded before a policy has said which: those of the governance text
/// and the usual spellings beside them. The printer always guards these; a policy may add to them.
pub const ENV_PATTERNS: &[&str] =
    &["*_KEY", "*_SECRET", "*_TOKEN", "*_PASSWORD", "*_PASS", "*_CREDENTIAL", "*_CREDENTIALS", "PGPASSWORD"];

/// What was found outside.
pub struct Edge {
    variables: Arc<BTreeMap<String, Secret>>,
    operator: Result<OperatorFile, sluice_provider::KeyProblem>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Where the process was started.
    pub folder: PathBuf,
}

impl Edge {
    /// Looks around, once.
    pub fn look() -> Result<Edge, Failure> {
        forbid_core_dumps();
        // Unusual bytes in a value are kept as far as they are text: a guard that knows most of a value is
        // better than none.
        let variables: BTreeMap<String, Secret> = std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), Secret::new(value.to_string_lossy().into_owned()))
            })
            .collect();
        let variables = Arc::new(variables);
        let env = |name: &str| variables.get(name).map(|value| value.expose().to_owned());
        let operator = match OperatorFile::default_path(&env) {
            Some(path) => OperatorFile::load(&path),
            None => Ok(OperatorFile::default()),
        };
        let folder = std::env::current_dir()
            .map_err(|error| Failure::could_not("file", "cannot tell the current folder").because(&error))?;
        Ok(Edge { variables, operator, clock: clock(), entropy: entropy()?, folder })
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.expose().to_owned())
    }

    /// All variables, to be shared with what looks up keys later.
    pub fn variables(&self) -> Arc<BTreeMap<String, Secret>> {
        self.variables.clone()
    }

    /// The operator's file: an error where it is there and must not be used.
    pub fn operator(&self) -> Result<OperatorFile, Failure> {
        match &self.operator {
            Ok(operator) => Ok(operator.clone()),
            Err(problem) => {
                let failure = Failure::of(crate::failure::Exit::CouldNot, "operator-file", problem);
                Err(failure.maybe_hint(problem.hint()))
            }
        }
    }

    /// A guard over what the environment holds under these patterns, the provider keys, and the operator's
    /// keys.
    pub fn guard(&self, patterns: &[String]) -> Result<Arc<KnownValues>, Failure> {
        let variables = self.variables.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let nothing = OperatorFile::default();
        let operator = self.operator.as_ref().unwrap_or(&nothing);
        Ok(Arc::new(KnownValues::new(&known_secrets(variables, patterns, operator))?))
    }

    /// The printer's guard: [`ENV_PATTERNS`] and what the policy adds.
    pub fn printer_guard(&self, of_policy: &[String]) -> Result<Arc<KnownValues>, Failure> {
        let patterns: Vec<String> = ENV_PATTERNS
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .chain(of_policy.iter().cloned())
            .collect();
        self.guard(&patterns)
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A new version 4 UUID.
    pub fn policy_id(&self) -> sluice_core::PolicyId {
        let mut random = [0; 16];
        (self.entropy)(&mut random);
        sluice_core::PolicyId(uuid::Builder::from_random_bytes(random).into_uuid())
    }
}

fn clock() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "this is the edge: the one place that reads the clock")]
        let now = SystemTime::now();
        let elapsed = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    })
}

/// Checked once: a system that gives random bytes now gives them later. Should it ever stop, the process ends:
/// ids and salts made of anything else would be guessable.
fn entropy() -> Result<Entropy, Failure> {
    sluice_capsule::os_entropy(&mut [0; 8])
        .map_err(|error| Failure::could_not("entropy", "the system gives no random bytes").because(&error))?;
    Ok(Arc::new(|bytes: &mut [u8]| {
        if sluice_capsule::os_entropy(bytes).is_err() {
            std::process::abort();
        }
    }))
}

/// A core file would hold keys and prompts in clear. Where the limit cannot be set, it is as the user set it.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
