//! What the reference guests share: a JSON reader that is small enough for a component, text clipped to what the
//! contract allows, and the allocator of a guest that lives for one call.

#[cfg(target_arch = "wasm32")]
mod bump;
pub mod json;
pub mod text;
