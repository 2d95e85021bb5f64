//! Values with a syntax of their own: money, dates, model ids, base URLs, patterns of variable names.

use sluice_core::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Longest base URL in bytes.
const URL_BYTES_MAX: usize = 256;

/// Longest name of a provider in bytes: it stands in candidate ids, tables and URIs.
const PROVIDER_BYTES_MAX: usize = 32;

/// Longest name of a model in bytes.
const MODEL_BYTES_MAX: usize = 128;

/// Largest amount of money: 9,000,000,000 USD in micro-USD still has a canonical form.
pub(crate) const MICRO_USD_MAX: u64 = 9_000_000_000_000_000;

/// Micro-USD of an amount in USD as written: digits, and at most six decimals. Never through a float.
pub(crate) fn micro_usd(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(decimals).filter(|micro| *micro <= MICRO_USD_MAX)
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD` that the calendar has.
pub(crate) fn day_number(date: &str) -> Option<i64> {
    let shape = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if !shape {
        return None;
    }
    let midnight: Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
    Some(midnight.millis() / DAY_MS)
}

/// Days since 1970-01-01 of an instant.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.millis() / DAY_MS
}

/// Whether `name` can name a provider: `[a-z0-9][a-z0-9-]{0,31}`.
pub(crate) fn is_provider_name(name: &str) -> bool {
    name.len() <= PROVIDER_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The two halves of a candidate id `<provider>/<model>`. The model's name may hold further slashes.
pub(crate) fn split_model_id(id: &str) -> Option<(&str, &str)> {
    let (provider, model) = id.split_once('/')?;
    let model_ok = (1..=MODEL_BYTES_MAX).contains(&model.len())
        && model.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+".contains(&b));
    (is_provider_name(provider) && model_ok).then_some((provider, model))
}

/// Whether `pattern` names environment variables narrowly enough: upper case, `*` only at an end, and not
/// everything.
pub(crate) fn is_env_pattern(pattern: &str) -> bool {
    let core = pattern.strip_prefix('*').unwrap_or(pattern);
    let core = core.strip_suffix('*').unwrap_or(core);
    (2..=64).contains(&core.len())
        && core.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What a base URL says of where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// `https`.
    pub encrypted: bool,
    /// This machine: `localhost`, 127.0.0.0/8, `[::1]`.
    pub loopback: bool,
}

/// Reads a base URL in the one spelling that policy takes. Whatever a lenient parser would still
/// understand (user info, `0x7f.1`, upper case, a query) is refused: the URL that a person reads must be
/// the URL that the client uses.
pub(crate) fn base_url(text: &str) -> Result<BaseUrl, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("it is longer than 256 bytes");
    }
    let (encrypted, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err("it does not begin with https:// or http://"),
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if rest.contains('@') {
        return Err("it holds user info");
    }
    if rest.contains(['?', '#']) {
        return Err("it holds a query or a fragment");
    }
    check_path(path)?;
    let loopback = check_host(host_of(authority)?)?;
    Ok(BaseUrl { encrypted, loopback })
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.ends_with('/') {
        return Err("it ends in a slash");
    }
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b)) {
        return Err("its path holds a character other than letters, digits, `/`, `-`, `_`, `.`, `~`");
    }
    if path.split('/').skip(1).any(|step| matches!(step, "" | "." | "..")) {
        return Err("its path holds an empty step, `.` or `..`");
    }
    if path.ends_with("/chat/completions") || path.ends_with("/messages") {
        return Err("it names the operation: it must end before `/chat/completions` or `/messages`");
    }
    Ok(())
}

fn host_of(authority: &str) -> Result<&str, &'static str> {
    let port_at = match authority.rfind(']') {
        Some(end) => authority[end..].find(':').map(|at| end + at),
        None => authority.find(':'),
    };
    let Some(port_at) = port_at else { return Ok(authority) };
    let (host, port) = (&authority[..port_at], &authority[port_at + 1..]);
    let number = port.parse::<u16>().ok().filter(|n| *n > 0 && n.to_string() == port);
    number.map(|_| host).ok_or("its port is not a number from 1 to 65535")
}

/// Whether the host is this machine; an error for a host that is none.
fn check_host(host: &str) -> Result<bool, &'static str> {
    const LINK_LOCAL: &str = "its host is a link-local address, where clouds keep their machines' secrets";
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr = inner.parse().map_err(|_| "its host is not an IPv6 address")?;
        if ip.to_ipv4_mapped().is_some() {
            return Err("its host is an IPv4 address written as IPv6");
        }
        return if ip.segments()[0] & 0xffc0 == 0xfe80 { Err(LINK_LOCAL) } else { Ok(ip.is_loopback()) };
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return if ip.is_link_local() { Err(LINK_LOCAL) } else { Ok(IpAddr::V4(ip).is_loopback()) };
    }
    let labels: Vec<&str> = host.split('.').collect();
    let label_ok = |label: &&str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A last label that begins with a digit is how lenient parsers come to read a name as an address.
    let last_is_a_name =
        labels.last().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_lowercase()));
    if !labels.iter().all(label_ok) || !last_is_a_name {
        return Err("its host is neither a lower-case name nor an address");
    }
    Ok(host == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_digit_by_digit() {
        for (text, micro) in [("3", 3_000_000), ("0.10", 100_000), ("0.000001", 1), ("25.00", 25_000_000)] {
            assert_eq!(micro_usd(text), Some(micro), "{text}");
        }
        for bad in
            ["", ".5", "-1", "1e3", "inf", "nan", "0.0000001", "1.2.3", "99999999999999", "+1", "9000000001"]
        {
            assert_eq!(micro_usd(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_of_the_calendar() {
        assert_eq!(day_number("1970-01-02"), Some(1));
        for bad in ["2026-02-30", "2026-13-01", "2026-1-1", "20261120", "2026-11-20T", "+026-11-20", ""] {
            assert_eq!(day_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn base_urls_have_one_spelling() {
        let told = |text: &str| base_url(text).map(|url| (url.encrypted, url.loopback));
        assert_eq!(told("https://api.openai.com/v1"), Ok((true, false)));
        assert_eq!(told("http://127.0.0.1:3009/v1"), Ok((false, true)));
        assert_eq!(told("http://[::1]:8080"), Ok((false, true)));
        assert_eq!(told("http://localhost:1"), Ok((false, true)));
        assert_eq!(told("http://localhost.example.com/v1"), Ok((false, false)));
        assert_eq!(told("http://10.0.0.5:30000/v1"), Ok((false, false)));
        for bad in [
            "",
            "https://",
            "ftp://x",
            "HTTPS://x",
            "https://API.openai.com/v1",
            "https://u:p@x.com",
            "https://x.com/",
            "https://x.com/v1?k=1",
            "https://x.com/v1#f",
            "https://x.com/../v1",
            "https://x.com//v1",
            "http://127.1",
            "http://0x7f.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://127.0.0.1.",
            "http://[::ffff:127.0.0.1]",
            "http://169.254.169.254/latest",
            "http://[fe80::1]",
            "https://x.com:0",
            "https://x.com:065",
            "https://x.com:",
            "https://x.com:99999",
            "https://x.com/v1/chat/completions",
            "https://x.com/%2e",
            "https://x_y.com",
            "https://é.com",
            "https://-x.com",
            "https://[::1",
            "https://a]:80",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_that_would_catch_everything_are_refused() {
        for good in ["*_KEY", "AWS_*", "*SECRET*", "DATABASE_URL"] {
            assert!(is_env_pattern(good), "{good}");
        }
        for bad in ["", "*", "**", "*A", "a_key", "A*B_KEY", "*_KEY=1"] {
            assert!(!is_env_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn model_ids_split_at_the_first_slash() {
        assert_eq!(split_model_id("local/Qwen/Qwen3-30B"), Some(("local", "Qwen/Qwen3-30B")));
        for bad in ["gpt-4o", "/gpt", "openai/", "OpenAI/gpt", "openai/gpt 4", "open ai/gpt"] {
            assert_eq!(split_model_id(bad), None, "{bad}");
        }
    }
}
