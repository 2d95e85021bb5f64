//! Always asks for another round.

use hostile_health_probe::{Hostile, Judgement, get};

struct Guest;

impl Hostile for Guest {
    fn judge() -> Judgement {
        Judgement::More(vec![get("models", "models")])
    }
}

hostile_health_probe::export!(Guest);
