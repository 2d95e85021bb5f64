//! Words that decide whether a name with `key`, `token` or `secret` in it holds a secret.

/// What the part of a name after the keyword may not say: then it names something about the secret.
#[rustfmt::skip]
pub(crate) const TAILS: &[&str] = &[
    "id", "ids", "name", "names", "type", "types", "url", "uri", "urls", "file", "path", "dir", "length",
    "len", "count", "size", "index", "idx", "expiry", "expires", "expiration", "expire", "ttl", "limit",
    "limits", "header", "prefix", "suffix", "field", "fields", "policy", "regex", "regexp", "pattern",
    "format", "min", "max", "algorithm", "alg", "usage", "rotation", "version", "label", "hint",
    "placeholder", "description", "endpoint", "address", "map", "list", "set", "code", "error", "ref",
    "arn", "manager", "provider", "class", "kind", "store", "storage", "reset", "confirm", "required",
    "enabled", "valid", "input", "box", "param", "attr", "column", "table", "lifetime", "scope", "mode",
    "status", "value_type", "factory", "service", "host", "port", "server", "user", "account", "group",
    "role", "date", "time", "at", "age", "words", "info", "budget", "usd", "stream", "kinds", "word",
    "board", "event", "press", "down", "up", "func", "fn", "exists", "locator", "selector", "text", "title",
];
/// Names that hold no secret although they end in a keyword.
#[rustfmt::skip]
pub(crate) const HARMLESS: &[&str] = &[
    "primary", "foreign", "public", "pub", "sort", "partition", "cache", "hash", "range", "routing",
    "object", "translation", "i18n", "dict", "map", "row", "group", "index", "unique", "composite",
    "natural", "surrogate", "shortcut", "hot", "shift", "ctrl", "alt", "meta", "arrow", "answer", "react",
    "next", "page", "continuation", "sync", "stop", "pad", "eos", "bos", "unk", "mask", "sep", "cls", "max",
    "min", "special", "prev", "previous", "current", "first", "last", "parent", "child", "node", "tree",
    "storage", "lookup", "column", "order", "search", "filter", "json", "config", "event", "metric",
    "label", "tag", "context", "state", "route", "query", "param", "field", "input", "output", "prompt",
    "completion", "total", "cached", "reasoning", "idempotency", "dedupe", "dedup", "message", "msg",
    "attribute", "attr", "property", "header", "registry", "default", "resource", "bucket", "blob", "path",
    "file", "by", "the", "a", "any", "no", "is", "has", "each", "per", "host", "known", "cancellation",
    "lex", "start", "end", "close", "open", "punct", "ident", "left", "right", "block", "sub", "super",
    "menu", "data", "error", "fake", "dummy", "mock", "bogus", "invalid", "wrong", "matching", "csrf", "xsrf",
    "authenticity",
];
/// Words that make `key`, `token`, `pass` or `auth` after them a secret, also without a separator.
#[rustfmt::skip]
pub(crate) const QUALIFIERS: &[&str] = &[
    "api", "access", "secret", "private", "auth", "app", "master", "encryption", "encrypt", "signing",
    "sign", "client", "service", "bot", "user", "admin", "root", "db", "database", "oauth", "bearer",
    "refresh", "id", "session", "deploy", "webhook", "license", "account", "consumer", "jwt", "personal",
    "project", "server", "write", "read", "admin", "x", "aws", "smtp", "mail", "ftp", "ssh", "redis",
    "mysql", "postgres", "pg", "pat", "validation", "decryption", "preshared", "fernet", "unseal", "security",
    "shared", "subscription", "functions", "machine",
];
