//! Guests out of text: a core module around the given function bodies, wrapped into a component of its world.

use sluice_core::contract::router::{Candidate, Health, RouteFacts};
use sluice_core::{Digest, PluginKind, PluginLimits};
use sluice_plugin::{Artifact, PluginEngine, PluginError, Redactor, Router};
use std::fmt::Write as _;
use std::sync::OnceLock;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the image of texts and records begins.
const IMAGE_BASE: u32 = 1024;

/// One engine for all tests that need nothing special of it.
pub fn engine() -> &'static PluginEngine {
    static ENGINE: OnceLock<PluginEngine> = OnceLock::new();
    ENGINE.get_or_init(|| PluginEngine::new(None).unwrap())
}

/// Texts and records in the guest's memory before it starts.
#[derive(Default, Clone)]
pub struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Places bytes; their address and length.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> [u32; 2] {
        let at = IMAGE_BASE + self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_ref());
        [at, text.as_ref().len() as u32]
    }

    /// Places words, aligned to eight bytes; their address.
    pub fn record(&mut self, words: &[u32]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = IMAGE_BASE + self.bytes.len() as u32;
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    }

    fn data(&self) -> String {
        let mut text = format!("(data (i32.const {IMAGE_BASE}) \"");
        for byte in &self.bytes {
            write!(text, "\\{byte:02x}").unwrap();
        }
        text + "\")"
    }
}

/// A guest to be.
pub struct Guest {
    kind: PluginKind,
    contract: &'static str,
    says_kind: &'static str,
    schema: String,
    bodies: Vec<(&'static str, String)>,
    post_returns: Vec<(&'static str, String)>,
    imports: String,
    world_imports: String,
    packages: Vec<String>,
    extra: String,
    memory_pages: u32,
    pub image: Image,
}

/// A guest of a kind whose functions all trap until they are given a body.
pub fn guest(kind: PluginKind) -> Guest {
    Guest {
        kind,
        contract: "0.1.0",
        says_kind: kind.code(),
        schema: "{\"type\":\"object\",\"additionalProperties\":false}".into(),
        bodies: vec![],
        post_returns: vec![],
        imports: String::new(),
        world_imports: String::new(),
        packages: vec![],
        extra: String::new(),
        memory_pages: 2,
        image: Image::default(),
    }
}

impl Guest {
    /// Gives an exported function its body.
    pub fn body(mut self, function: &'static str, body: impl Into<String>) -> Guest {
        self.bodies.push((function, body.into()));
        self
    }

    /// Gives an exported function something to run after its result was read.
    pub fn post_return(mut self, function: &'static str, body: impl Into<String>) -> Guest {
        self.post_returns.push((function, body.into()));
        self
    }

    /// The contract version that it is built against.
    pub fn contract(mut self, version: &'static str) -> Guest {
        self.contract = version;
        self
    }

    /// What it claims to be.
    pub fn says_kind(mut self, kind: &'static str) -> Guest {
        self.says_kind = kind;
        self
    }

    /// Its configuration's schema.
    pub fn schema(mut self, schema: &str) -> Guest {
        self.schema = schema.into();
        self
    }

    /// More fields of the core module: globals, functions, a start function.
    pub fn with(mut self, fields: &str) -> Guest {
        self.extra.push_str(fields);
        self
    }

    /// Pages of memory to begin with.
    pub fn memory(mut self, pages: u32) -> Guest {
        self.memory_pages = pages;
        self
    }

    /// Imports an interface of a package given as WIT text; `core` are the core imports that go with it.
    pub fn importing(mut self, package: &str, interfaces: &[&str], core: &str) -> Guest {
        self.packages.push(package.into());
        for interface in interfaces {
            writeln!(self.world_imports, "import {interface};").unwrap();
        }
        self.imports.push_str(core);
        self
    }

    /// The artifact.
    pub fn build(mut self) -> Artifact {
        let module = wat::parse_str(self.module()).unwrap();
        let (resolve, world) = self.resolve();
        let mut module = module;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
        Artifact::from_bytes(component).unwrap()
    }

    fn resolve(&self) -> (Resolve, wit_parser::WorldId) {
        let mut resolve = Resolve::default();
        for package in &self.packages {
            resolve.push_str("package.wit", package).unwrap();
        }
        // `types` holds the package's one header.
        let contract = [
            include_str!("../../../../wit/0.1.0/types.wit"),
            include_str!("../../../../wit/0.1.0/router.wit"),
            include_str!("../../../../wit/0.1.0/redactor.wit"),
            include_str!("../../../../wit/0.1.0/capture-filter.wit"),
            include_str!("../../../../wit/0.1.0/health-probe.wit"),
        ]
        .concat()
        .replace("plugin@0.1.0;", &format!("plugin@{};", self.contract))
        .replace("export about;", &format!("{} export about;", self.world_imports));
        let package = resolve.push_str("contract.wit", &contract).unwrap();
        let world = resolve.select_world(&[package], Some(self.kind.code())).unwrap();
        (resolve, world)
    }

    fn module(&mut self) -> String {
        let describe = self.describe();
        let mut functions = String::new();
        for (interface, name, signature) in signatures(self.kind) {
            let export = format!("sluicegate:plugin/{interface}@{}#{name}", self.contract);
            let body =
                self.bodies.iter().find(|(function, _)| function == name).map_or("unreachable", |(_, b)| b);
            writeln!(functions, "(func (export \"{export}\") {signature} {body})").unwrap();
            if let Some((_, body)) = self.post_returns.iter().find(|(function, _)| function == name) {
                writeln!(functions, "(func (export \"cabi_post_{export}\") (param i32) {body})").unwrap();
            }
        }
        let Guest { contract, imports, extra, memory_pages, image, .. } = self;
        assert!(IMAGE_BASE as usize + image.bytes.len() <= *memory_pages as usize * 65536);
        format!(
            "(module
              {imports}
              (memory (export \"memory\") {memory_pages})
              (global $next (mut i32) (i32.const {first_free}))
              {data}
              (func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (block $fits (loop $grow
                  (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                  (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
                  unreachable))
                (local.get $at))
              (func (export \"sluicegate:plugin/about@{contract}#describe\") (result i32) (i32.const {describe}))
              {functions}
              {extra})",
            first_free = IMAGE_BASE as usize + image.bytes.len(),
            data = image.data(),
        )
    }

    fn describe(&mut self) -> u32 {
        let image = &mut self.image;
        let texts = ["test-guest", "1.2.3", self.says_kind].map(|text| image.text(text));
        let schema = image.text(&self.schema);
        let [name, version, kind] = texts;
        image.record(&[name, version, kind, [0, 0], schema, [0, 0]].concat())
    }
}

fn signatures(kind: PluginKind) -> &'static [(&'static str, &'static str, &'static str)] {
    // More than 16 flat parameters arrive as one pointer; a result of more than one is a pointer.
    match kind {
        PluginKind::Router => &[("routing", "route", "(param i32) (result i32)")],
        PluginKind::Redactor => &[
            ("redaction", "rules", "(param i32 i32) (result i32)"),
            ("redaction", "scan", "(param i32 i32 i32 i32) (result i32)"),
        ],
        PluginKind::CaptureFilter => {
            &[("filtering", "filter", "(param i32 i32 i32 i32 i32 i32) (result i32)")]
        }
        PluginKind::HealthProbe => &[
            ("probing", "plan", "(param i32) (result i32)"),
            ("probing", "judge", "(param i32) (result i32)"),
        ],
    }
}

/// A router that chooses the candidate `acme/large`. Address of its answer, and of the one choice in it.
pub fn choosing(image: &mut Image) -> (u32, u32) {
    let [id, id_len] = image.text("acme/large");
    // candidate, reasoning-effort (none), timeout-ms (none), padding, output-tokens-max (none), ext.
    let choice = image.record(&[id, id_len, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let [reason, reason_len] = image.text("policy-order");
    let [sentence, sentence_len] = image.text("The first that policy names.");
    // ok, verdict choose (list of one), reason, sentence, evidence (none), ext (none).
    let answer = image.record(&[0, 0, choice, 1, reason, reason_len, sentence, sentence_len, 0, 0, 0, 0]);
    (answer, choice)
}

/// A router that always answers the same.
pub fn sound_router() -> Guest {
    let mut guest = guest(PluginKind::Router);
    let (answer, _) = choosing(&mut guest.image);
    guest.body("route", format!("(i32.const {answer})"))
}

/// A redactor that answers every scan with the given results.
pub fn scanning(results: impl FnOnce(&mut Image) -> Vec<[u32; 5]>) -> Guest {
    let mut guest = guest(PluginKind::Redactor);
    let results = results(&mut guest.image);
    let list = guest.image.record(&results.concat());
    let answer = guest.image.record(&[0, list, results.len() as u32]);
    guest.body("scan", format!("(i32.const {answer})"))
}

pub fn load_router(artifact: &Artifact) -> Result<Router, PluginError> {
    engine().load_router(artifact, artifact.digest(), PluginLimits::default_for(PluginKind::Router))
}

pub fn load_redactor(artifact: &Artifact) -> Result<Redactor, PluginError> {
    engine().load_redactor(artifact, artifact.digest(), PluginLimits::default_for(PluginKind::Redactor))
}

pub fn limits(kind: PluginKind, change: impl FnOnce(&mut PluginLimits)) -> PluginLimits {
    let mut limits = PluginLimits::default_for(kind);
    change(&mut limits);
    limits
}

pub fn wrong_pin() -> Digest {
    Digest::of(b"another artifact")
}

pub fn facts() -> RouteFacts {
    RouteFacts {
        run_id: "run-1".into(),
        spec_id: Some("spec-1".into()),
        session_id: None,
        role: "implementer".into(),
        stage: "implement".into(),
        operation: "chat".into(),
        mode_asked: "auto".into(),
        attempt: 1,
        earlier: vec![],
        risk: "normal".into(),
        input_tokens: 1200,
        output_tokens_max: 4096,
        needs: Default::default(),
        suitability: Default::default(),
        reflex: Default::default(),
        budget: Default::default(),
        load: Default::default(),
        tags: vec![("team".into(), "core".into())],
        now_ms: 1_790_000_000_123,
        seed: 42,
        ext: vec![],
    }
}

pub fn candidates() -> Vec<Candidate> {
    vec![Candidate {
        id: "acme/large".into(),
        provider: "acme".into(),
        model: "large".into(),
        mode: "cloud".into(),
        prices: vec![],
        context_tokens: Some(200_000),
        capabilities: vec!["tools".into()],
        health: Health { state: "unknown".into(), reason: String::new(), checked_at_ms: None },
        bakeoff: None,
        ext: vec![],
    }]
}
