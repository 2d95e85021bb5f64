//! `plan` and `judge`.

use super::{Kept, RECORDED_MAX, code, evidence, ext, require};
use serde::de::IgnoredAny;
use sluice_core::FaultCode;
use sluice_core::contract::health_probe::{
    Judgement, PROBE_BODY_BYTES_MAX, PROBE_REQUESTS_MAX, PROBE_TIMEOUT_MS_MAX, ProbeExchange, ProbeRequest,
};

const REQUEST_ID_BYTES_MAX: usize = 32;
const PATH_BYTES_MAX: usize = 256;

/// The first round of requests, if it keeps the contract.
pub(crate) fn plan(planned: Vec<ProbeRequest>) -> Result<Vec<ProbeRequest>, FaultCode> {
    requests(&planned, &[])?;
    Ok(planned)
}

/// The judgement, if it keeps the contract.
pub(crate) fn judgement(mut judged: Judgement, so_far: &[ProbeExchange]) -> Result<Judgement, FaultCode> {
    match &mut judged {
        Judgement::Verdict(verdict) => {
            code(&verdict.reason)?;
            evidence(&verdict.evidence)?;
            ext(&verdict.ext)?;
            verdict.recheck_after_ms = verdict.recheck_after_ms.min(RECORDED_MAX);
        }
        // A further round of nothing would go round and round.
        Judgement::More(more) => {
            require(!more.is_empty())?;
            requests(more, so_far)?;
        }
    }
    Ok(judged)
}

fn requests(requests: &[ProbeRequest], so_far: &[ProbeExchange]) -> Kept {
    require(requests.len() <= PROBE_REQUESTS_MAX)?;
    for (at, one) in requests.iter().enumerate() {
        request(one)?;
        let seen =
            requests[..at].iter().map(|other| &other.id).chain(so_far.iter().map(|other| &other.request));
        require(!seen.into_iter().any(|id| *id == one.id))?;
    }
    Ok(())
}

fn request(request: &ProbeRequest) -> Kept {
    require((1..=REQUEST_ID_BYTES_MAX).contains(&request.id.len()))?;
    require(is_path(&request.path))?;
    require((1..=PROBE_TIMEOUT_MS_MAX).contains(&request.timeout_ms))?;
    ext(&request.ext)?;
    match request.method.as_str() {
        "GET" => require(request.body.is_empty()),
        "POST" => require(
            request.body.len() <= PROBE_BODY_BYTES_MAX
                && serde_json::from_str::<IgnoredAny>(&request.body).is_ok(),
        ),
        _ => Err(FaultCode::BrokenContract),
    }
}

/// Whether a path stays below the base URL it is appended to. Percent signs are refused whole: `%2e%2e` is `..`
/// to some servers, and no endpoint of these dialects needs one.
fn is_path(path: &str) -> bool {
    (1..=PATH_BYTES_MAX).contains(&path.len())
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"%\\#<>\"`{}|^".contains(&b))
        && !path.starts_with('/')
        && path.split(['/', '?']).all(|segment| segment != ".." && segment != ".")
        && !path.contains("//")
        // A colon in the first segment makes it a scheme.
        && !path.split('/').next().is_some_and(|first| first.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::contract::health_probe::{ProbeState, ProbeVerdict};

    fn get(id: &str, path: &str) -> ProbeRequest {
        ProbeRequest {
            id: id.into(),
            method: "GET".into(),
            path: path.into(),
            body: String::new(),
            timeout_ms: 1000,
            ext: vec![],
        }
    }

    fn post(body: &str) -> ProbeRequest {
        ProbeRequest { method: "POST".into(), body: body.into(), ..get("chat", "chat/completions") }
    }

    fn exchange(id: &str) -> ProbeExchange {
        ProbeExchange {
            request: id.into(),
            status: Some(200),
            error: String::new(),
            duration_ms: 5,
            body: "{}".into(),
            truncated: false,
            ext: vec![],
        }
    }

    #[test]
    fn sound_plans_pass() {
        assert!(plan(vec![get("models", "models"), post("{\"max_tokens\":1}")]).is_ok());
        assert!(plan(vec![]).is_ok());
    }

    #[test]
    fn each_rule_of_a_request_is_kept() {
        let broken = [
            ("five", (0..5).map(|n| get(&n.to_string(), "models")).collect()),
            ("one id twice", vec![get("a", "models"), get("a", "models")]),
            ("no id", vec![get("", "models")]),
            ("a long id", vec![get(&"x".repeat(33), "models")]),
            ("another method", vec![ProbeRequest { method: "DELETE".into(), ..get("a", "models") }]),
            ("a body to get", vec![ProbeRequest { body: "{}".into(), ..get("a", "models") }]),
            ("a body that is no JSON", vec![post("max_tokens=1")]),
            ("no body to post", vec![post("")]),
            ("a large body", vec![post(&format!("\"{}\"", "x".repeat(PROBE_BODY_BYTES_MAX)))]),
            ("a bottomless body", vec![post(&"[".repeat(PROBE_BODY_BYTES_MAX))]),
            ("no time", vec![ProbeRequest { timeout_ms: 0, ..get("a", "models") }]),
            ("too much time", vec![ProbeRequest { timeout_ms: 30_001, ..get("a", "models") }]),
            (
                "a large ext",
                vec![ProbeRequest { ext: vec![("x".repeat(1025), String::new())], ..get("a", "b") }],
            ),
        ];
        for (what, requests) in broken {
            assert_eq!(plan(requests), Err(FaultCode::BrokenContract), "{what}");
        }
    }

    #[test]
    fn a_path_stays_below_the_base() {
        for good in ["models", "chat/completions", "v1/models/qwen2.5-coder:7b", "models?limit=5"] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "",
            "/models",
            "//evil.example/models",
            "http://evil.example",
            "https:evil",
            "..",
            "../admin",
            "a/../b",
            "a/..",
            "a//b",
            "a/./b",
            "%2e%2e/admin",
            "a\\b",
            "a b",
            "a\r\nHost: evil",
            "caf\u{e9}",
            "a#b",
            "@evil:80",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
        assert!(!is_path(&"a".repeat(257)));
    }

    #[test]
    fn each_rule_of_a_judgement_is_kept() {
        let verdict = ProbeVerdict {
            state: ProbeState::Healthy,
            reason: "model-answers".into(),
            evidence: vec![("models".into(), "3".into())],
            recheck_after_ms: 60_000,
            ext: vec![],
        };
        assert!(judgement(Judgement::Verdict(verdict.clone()), &[]).is_ok());
        assert!(judgement(Judgement::More(vec![get("b", "models")]), &[exchange("a")]).is_ok());
        let broken = [
            ("no reason", Judgement::Verdict(ProbeVerdict { reason: String::new(), ..verdict.clone() })),
            (
                "long evidence",
                Judgement::Verdict(ProbeVerdict {
                    evidence: vec![("a".into(), "x".repeat(241))],
                    ..verdict.clone()
                }),
            ),
            ("more of nothing", Judgement::More(vec![])),
            ("an id of an earlier round", Judgement::More(vec![get("a", "models")])),
        ];
        for (what, value) in broken {
            assert_eq!(judgement(value, &[exchange("a")]), Err(FaultCode::BrokenContract), "{what}");
        }
        let never = ProbeVerdict { recheck_after_ms: u64::MAX, ..verdict };
        let Ok(Judgement::Verdict(kept)) = judgement(Judgement::Verdict(never), &[]) else {
            panic!("no verdict")
        };
        assert_eq!(kept.recheck_after_ms, RECORDED_MAX);
    }
}
