//! Plain language.

use crate::model::Label;

/// "A person at Front Door", "An animal (dog) at Garden".
pub(super) fn object_at(label: Label, class: &str, camera: &str) -> String {
    let thing = match label {
        Label::Person => "A person".to_owned(),
        Label::Package => "A package".to_owned(),
        Label::Face => "A face".to_owned(),
        Label::Vehicle | Label::Animal => with_article(class),
    };
    format!("{thing} at {camera}")
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_have_an_article_and_a_place() {
        assert_eq!(object_at(Label::Person, "person", "Front Door"), "A person at Front Door");
        assert_eq!(object_at(Label::Vehicle, "truck", "Drive"), "A truck at Drive");
        assert_eq!(object_at(Label::Animal, "elephant", "Zoo"), "An elephant at Zoo");
    }
}
