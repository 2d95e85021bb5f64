//! Step 1, admit: is this a call that can be made at all? What is refused here leaves no decision, since
//! none was asked for.

use crate::conversation::Conversation;
use crate::reply::CallFailure;
use serde_json::Value;
use sluice_core::contract::router::{Load, Needs, RouteFacts, Suitability};
use sluice_core::{ModeAsked, Risk, Role, Stage};
use sluice_governance::route;
use sluice_policy::PolicySnapshot;
use sluice_provider::{ChatCall, Message, Tool};

/// Largest prompt in bytes: more than any context window of the price table holds.
pub const PROMPT_BYTES_MAX: usize = 16 << 20;

/// Most labels of a call, and most bytes of each part of one.
const TAGS_MAX: usize = 32;
const TAG_BYTES_MAX: usize = 240;

/// Most files that a prompt may be said to hold, and most bytes of each path: the filter reads them all, and
/// they stand in the record once for the prompt and once for the answer.
const PATHS_MAX: usize = 64;
const PATH_BYTES_MAX: usize = 1024;

/// About how many bytes make a token: the estimate that routing and budgets start from. Usage is counted by
/// the server.
const BYTES_PER_TOKEN: u64 = 4;

/// One call, as the caller asks for it.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// Who speaks.
    pub role: Role,
    /// In which stage.
    pub stage: Stage,
    /// A wish about where.
    pub mode_asked: ModeAsked,
    /// How much harm a wrong answer would do.
    pub risk: Risk,
    /// What is said.
    pub prompt: String,
    /// What is said instead of the prompt, which is then not looked at.
    pub conversation: Option<Conversation>,
    /// A JSON Schema that the answer must satisfy.
    pub schema: Option<Value>,
    /// The task is small and local enough for a local model.
    pub bounded: bool,
    /// Files that the prompt is known to hold, for the capture filter.
    pub paths: Vec<String>,
    /// Labels.
    pub tags: Vec<(String, String)>,
    /// Cap on the answer; `None` for the model's own.
    pub output_tokens_max: Option<u64>,
    /// Ask for a stream.
    pub stream: bool,
}

impl CallRequest {
    /// A plain call.
    pub fn new(role: Role, stage: Stage, prompt: impl Into<String>) -> CallRequest {
        CallRequest {
            role,
            stage,
            mode_asked: ModeAsked::Auto,
            risk: Risk::Normal,
            prompt: prompt.into(),
            conversation: None,
            schema: None,
            bounded: false,
            paths: Vec::new(),
            tags: Vec::new(),
            output_tokens_max: None,
            stream: false,
        }
    }
}

/// What the gateway offers so far, in the words of `usage.operations`.
const OPERATION: &str = "chat";

/// Refuses what cannot be a call, and what policy's `usage` does not let callers ask for.
pub(crate) fn check(policy: &PolicySnapshot, request: &CallRequest) -> Result<(), CallFailure> {
    let refuse =
        |message: String, hint: &str| Err(CallFailure::NotAdmitted { message, hint: hint.to_owned() });
    let bytes = match &request.conversation {
        Some(conversation) => {
            conversation.check().map_err(|problem| CallFailure::NotAdmitted {
                message: problem.to_string(),
                hint: problem.hint,
            })?;
            conversation.bytes()
        }
        None if request.prompt.trim().is_empty() => {
            return refuse("the prompt is empty".into(), "say something, or give `-` to read standard input");
        }
        None => request.prompt.len(),
    };
    if bytes > PROMPT_BYTES_MAX {
        let message = format!("the prompt is too long: {bytes} bytes, at most {PROMPT_BYTES_MAX}");
        return refuse(message, "no model of the policy has room for it: cut it into parts");
    }
    let long = |text: &String| text.len() > TAG_BYTES_MAX;
    if request.tags.len() > TAGS_MAX || request.tags.iter().any(|(k, v)| long(k) || long(v)) {
        let message = format!("too many or too long tags: at most {TAGS_MAX} of {TAG_BYTES_MAX} bytes each");
        return refuse(message, "tags are labels; put content into the prompt");
    }
    if request.paths.len() > PATHS_MAX || request.paths.iter().any(|path| path.len() > PATH_BYTES_MAX) {
        let message =
            format!("too many or too long paths: at most {PATHS_MAX} of {PATH_BYTES_MAX} bytes each");
        return refuse(message, "name the folder that the files lie in");
    }
    let Ok(usage) = policy.governance.usage_rules() else {
        // A snapshot that loaded has passed the same reading.
        return refuse("the policy's `usage` cannot be read".into(), "run `sluice policy compile`");
    };
    if !usage.operations.iter().any(|operation| operation == OPERATION) {
        return refuse(
            format!("policy does not offer the operation: {OPERATION}"),
            "`usage.operations` in model_policy.toml lists what callers may ask for",
        );
    }
    let carried = |key: &String| request.tags.iter().any(|(k, v)| k == key && !v.trim().is_empty());
    let missing: Vec<&str> =
        usage.tags_required.iter().filter(|key| !carried(key)).map(String::as_str).collect();
    if !missing.is_empty() {
        return refuse(
            format!("the call lacks a label that policy asks for: {}", missing.join(", ")),
            "give each as `--tag KEY=VALUE`; `usage.tags_required` in model_policy.toml names them",
        );
    }
    Ok(())
}

/// What is said to the model: the policy's prompt for the stage or role, then the caller's prompt or conversation.
pub(crate) fn messages(policy: &PolicySnapshot, request: &CallRequest) -> ChatCall {
    let prompts = &policy.prompts;
    // A critic comments on a stage from beside it: the stage's own prompt would have it do the stage's work.
    let of_stage = prompts.get(request.stage.code()).filter(|_| request.role != Role::SidecarCritic);
    let system = of_stage.or_else(|| prompts.get(request.role.code()));
    let mut messages: Vec<Message> = system.map(|text| Message::new("system", text)).into_iter().collect();
    let (mut tools, mut tool_choice) = (Vec::new(), None);
    match &request.conversation {
        Some(conversation) => {
            messages.extend(conversation.messages.iter().cloned());
            tools.clone_from(&conversation.tools);
            tool_choice.clone_from(&conversation.tool_choice);
        }
        None => messages.push(Message::new("user", request.prompt.as_str())),
    }
    ChatCall {
        messages,
        output_tokens_max: 0,
        reasoning_effort: None,
        schema: request.schema.clone(),
        stream: request.stream,
        tools,
        tool_choice,
    }
}

/// What stays the same over all attempts of a call; the run fills in the rest.
pub(crate) fn facts(policy: &PolicySnapshot, request: &CallRequest, call: &ChatCall) -> RouteFacts {
    let said: usize = call.messages.iter().map(Message::bytes).sum();
    let bytes = (said + call.tools.iter().map(Tool::bytes).sum::<usize>()) as u64;
    RouteFacts {
        run_id: String::new(),
        spec_id: None,
        session_id: None,
        role: request.role.code().to_owned(),
        stage: request.stage.code().to_owned(),
        operation: OPERATION.to_owned(),
        mode_asked: request.mode_asked.code().to_owned(),
        attempt: 0,
        earlier: Vec::new(),
        risk: request.risk.code().to_owned(),
        input_tokens: bytes.div_ceil(BYTES_PER_TOKEN),
        output_tokens_max: request.output_tokens_max.unwrap_or_else(|| longest_answer(policy, request.role)),
        needs: Needs {
            tools: !call.tools.is_empty(),
            schema: request.schema.is_some(),
            streaming: request.stream,
            high_reasoning: request.role == Role::Judge,
            ..Needs::default()
        },
        suitability: Suitability {
            structured_output: request.schema.is_some(),
            bounded_complexity: request.bounded,
        },
        reflex: route::reflex_rules(policy),
        budget: Default::default(),
        load: Load::default(),
        tags: request.tags.clone(),
        now_ms: 0,
        seed: 0,
        ext: Vec::new(),
    }
}

/// What a caller without a wish will take: as much as the longest-winded of the role's models gives. A number
/// beyond that would make the call seem too large for every context window.
fn longest_answer(policy: &PolicySnapshot, role: Role) -> u64 {
    let config = &policy.model_config;
    let models = config.roles.get(&role).map(|role| role.models.as_slice()).unwrap_or_default();
    let most =
        models.iter().filter_map(|id| config.models.get(id)).map(|model| model.output_tokens_max).max();
    most.unwrap_or(1)
}
