//! What a stage sees: the specification and earlier artefacts, trimmed to a token budget. Pure.
