//! How the server can be told to misbehave.

use std::time::Duration;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `GET /v1/models`, in the face that the headers ask for.
    Models,
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `GET /health` and `HEAD /`.
    Health,
    /// Anything else: 404.
    Other,
}

impl Route {
    /// Every route.
    pub const ALL: [Route; 6] =
        [Route::Models, Route::Chat, Route::Messages, Route::CountTokens, Route::Health, Route::Other];

    pub(crate) fn of(method: &str, path: &str) -> Route {
        match (method, path) {
            ("GET", "/v1/models") => Route::Models,
            ("POST", "/v1/chat/completions") => Route::Chat,
            ("POST", "/v1/messages") => Route::Messages,
            ("POST", "/v1/messages/count_tokens") => Route::CountTokens,
            ("GET", "/health") | ("HEAD" | "GET", "/") => Route::Health,
            _ => Route::Other,
        }
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers as it should.
    Ok,
    /// Answers with the prompt, word for word: what left is seen in what came back.
    Echo,
    /// Answers with all of this text, however few tokens were asked for, as a model that leaks would. In a
    /// stream it is cut into pieces of 12 bytes.
    Leak(String),
    /// Asks for these tools (name, and the arguments word for word, whether they are JSON or not) where the request
    /// offers any; answers as it should where it does not. In a stream the arguments come in pieces of 7 bytes, those
    /// of several calls by turns where the dialect allows it.
    Call(Vec<(String, String)>),
    /// An error with this status, in the shape of the dialect.
    Fail(u16),
    /// An error with this status (429, 503, 529) that says when to come back.
    Overload {
        /// The status.
        status: u16,
        /// Sent as `retry-after-ms`, and as `retry-after` in whole seconds, rounded up.
        retry_after_ms: u64,
    },
    /// 307 to this place.
    Redirect(String),
    /// Nothing at all for this long, then as it should.
    Stall(Duration),
    /// Begins the answer, and then nothing for this long.
    StallInside(Duration),
    /// Waits this long before each event of a stream; before the body of a plain answer.
    Slow(Duration),
    /// A web page with status 200.
    Html,
    /// Status 200 and not one byte.
    Empty,
    /// 1 MiB of printable nonsense under the right content type.
    Garbage,
    /// A valid answer whose text takes this many bytes and more.
    Flood(usize),
    /// Half of the answer, and then a proper end: no `[DONE]`, no `message_stop`, half a JSON body.
    HalfStream,
    /// Half of the answer, and then the connection breaks.
    Cut,
    /// An error as first event of a 200 stream, as SGLang does when it is overloaded; as the body of a
    /// plain 200.
    ErrorFirst,
    /// An error in the middle of a 200 stream; as the body of a plain 200.
    ErrorInStream,
    /// A list of models that names none of them.
    WrongModels,
}

/// When to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    behaviour: Behaviour,
    route: Option<Route>,
    model: Option<String>,
    times: Option<u32>,
}

impl Rule {
    /// Always, on the routes that answer for a model. `WrongModels` is for the list of models.
    pub fn new(behaviour: Behaviour) -> Rule {
        let route = (behaviour == Behaviour::WrongModels).then_some(Route::Models);
        Rule { behaviour, route, model: None, times: None }
    }

    /// Only for this many requests; later ones find the next rule.
    #[must_use]
    pub fn times(mut self, times: u32) -> Rule {
        self.times = Some(times);
        self
    }

    /// Only for requests that name this model.
    #[must_use]
    pub fn for_model(mut self, model: &str) -> Rule {
        self.model = Some(model.to_owned());
        self
    }

    /// Only on this route.
    #[must_use]
    pub fn on(mut self, route: Route) -> Rule {
        self.route = Some(route);
        self
    }

    fn fits(&self, route: Route, model: Option<&str>) -> bool {
        let route_fits = match self.route {
            Some(only) => only == route,
            None => matches!(route, Route::Chat | Route::Messages),
        };
        route_fits && self.model.as_deref().is_none_or(|only| Some(only) == model)
    }

    /// What the first fitting rule says, which is then used once. Rules that are used up go.
    pub(crate) fn take(rules: &mut Vec<Rule>, route: Route, model: Option<&str>) -> Behaviour {
        rules.retain(|rule| rule.times != Some(0));
        match rules.iter_mut().find(|rule| rule.fits(route, model)) {
            Some(rule) => {
                rule.times = rule.times.map(|times| times - 1);
                rule.behaviour.clone()
            }
            None => Behaviour::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_used_in_order_and_up() {
        let mut rules = vec![
            Rule::new(Behaviour::Fail(500)).times(2).for_model("a"),
            Rule::new(Behaviour::Html).on(Route::Models),
            Rule::new(Behaviour::Echo).times(1),
        ];
        let mut take = |route, model| Rule::take(&mut rules, route, Some(model));
        assert_eq!(take(Route::Chat, "a"), Behaviour::Fail(500));
        assert_eq!(take(Route::Chat, "b"), Behaviour::Echo);
        assert_eq!(take(Route::Messages, "a"), Behaviour::Fail(500));
        assert_eq!(take(Route::Chat, "a"), Behaviour::Ok);
        assert_eq!(take(Route::Models, "a"), Behaviour::Html);
        assert_eq!(take(Route::Health, "a"), Behaviour::Ok);
    }
}
