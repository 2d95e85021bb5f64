//! Words that the context of a run is searched for.

/// Words that say "this is a credential" of what follows; also as the end of a longer word.
pub const KEYWORDS: &[&str] = &[
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "credential",
    "credentials",
    "auth",
    "bearer",
    "private",
    "apikey",
    "api",
    "access",
    "keys",
    "tokens",
    "pass",
    "authorization",
    "pat",
    "login",
    "secretkey",
    "accesskey",
    "privatekey",
    "authtoken",
    "accesstoken",
    "apitoken",
    "usertoken",
    "apisecret",
    "clientsecret",
    "appsecret",
    "appkey",
    "authkey",
    "license",
    "licence",
];

/// Words that make a random run something else.
pub const HARMLESS: &[&str] = &[
    "id",
    "sha",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "md5",
    "hash",
    "hashes",
    "commit",
    "commits",
    "digest",
    "checksum",
    "etag",
    "integrity",
    "fingerprint",
    "uuid",
    "guid",
    "revision",
    "rev",
    "blob",
    "tree",
    "nonce",
    "signature",
    "sig",
    "public",
    "request",
    "trace",
    "span",
    "ids",
    "version",
    "git",
    "crc",
    "run",
    "job",
    "image",
    "layer",
    "docker",
    "cid",
    "snapshot",
    "path",
    "file",
    "url",
    "href",
    "src",
    "name",
    "class",
    "message",
    "publickey",
    "pubkey",
];

/// Words that say of the keyword right after them that there is nothing to hide.
pub const VOID: &[&str] =
    &["fake", "dummy", "mock", "bogus", "invalid", "matching", "csrf", "xsrf", "authenticity"];

/// What may follow the letters that a word is looked up by: a bit for each two neighbours of the alphabet. The scanner
/// has the same line.
pub fn next(word: &[u8]) -> u64 {
    word.get(HASHED_BYTES).map_or(u64::MAX, |byte| 1 << ((byte | 0x20) >> 1 & 63))
}

/// Letters that a word is looked up by. Shorter ones are looked up with whatever comes after them.
pub const HASHED_BYTES: usize = 4;
pub const HASH_BITS: u32 = 15;
pub const HASH_FACTOR: u32 = 0x9e37_79b1;

/// The places of a word: the upper bits of the product of its first letters, each without the bits of case. The scanner
/// has the same line.
pub fn hashes(word: &[u8]) -> Vec<u32> {
    let letters = |word: &[u8]| word.iter().rev().fold(0u32, |all, byte| all << 8 | u32::from(byte & 31));
    let hash = |four: u32| four.wrapping_mul(HASH_FACTOR) >> (32 - HASH_BITS);
    let mut all: Vec<u32> = match word.first_chunk::<HASHED_BYTES>() {
        Some(four) => vec![hash(letters(four))],
        None => (0..32).map(|after| hash(letters(word) | after << (8 * (HASHED_BYTES - 1)))).collect(),
    };
    all.sort_unstable();
    all.dedup();
    all
}
