//! The plugin contract as plain data, one module a kind. The newest contract version's shapes: a binding
//! file in the plugin room converts older ones at its edge. Serialised as recorded in events.

pub mod about;
pub mod capture_filter;
pub mod health_probe;
pub mod redactor;
pub mod router;

/// Room to grow: pairs of (key, value).
pub type Ext = Vec<(String, String)>;

/// Most bytes of a kebab-case code (reason, rule).
pub const CODE_BYTES_MAX: usize = 48;

/// Whether `text` is a code: `[a-z0-9-]{1,48}`.
pub fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
