//! The page for people: from data to HTML, with the few files it needs, all embedded.
//!
//! [`render`] is a function of what it is given; where that comes from, and who may see it, is the business of [`crate::api`]. The
//! page works without scripts and without other hosts; everything foreign in it (names, errors, bodies) is escaped by the template
//! engine, and [`CONTENT_SECURITY_POLICY`] would stop what got through.

mod assets;
mod view;

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

pub use assets::{Asset, asset};
pub use view::{Arrival, CameraCard, Choice, EventCard, Page, Receiver, duration};

/// For the page: its own files only, nothing inline, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const TEMPLATE: &str = "page.html";

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // A name that is not there is a mistake in the template.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Lines that hold only a block leave nothing behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the marks are Jinja's own"));
    environment
        .add_template(TEMPLATE, include_str!("page.html"))
        .expect("the embedded template is valid, as a test shows");
    environment
});

/// The page as HTML.
pub fn render(page: &Page) -> Result<String, minijinja::Error> {
    ENVIRONMENT.get_template(TEMPLATE)?.render(minijinja::context! {
        page => Value::from(Serde(page)),
        css => address("page.css"),
        js => address("page.js"),
        icon => address("icon.svg"),
    })
}

/// Made of our own names and digits, so there is nothing to escape.
fn address(asset: &str) -> Value {
    Value::from_safe_string(assets::address(asset))
}
