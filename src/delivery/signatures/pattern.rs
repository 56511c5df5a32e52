//! Texts with places to fill in: `t={timestamp},v1={hex}`.

/// What a place stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Id,
    Timestamp,
    Body,
    Hex,
    Base64,
}

impl Place {
    const ALL: [(&'static str, Self); 5] = [
        ("{id}", Self::Id),
        ("{timestamp}", Self::Timestamp),
        ("{body}", Self::Body),
        ("{hex}", Self::Hex),
        ("{base64}", Self::Base64),
    ];
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

impl Pattern {
    /// Accepts the places in `allowed` only.
    pub(super) fn parse(text: &str, allowed: &[Place]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let known = Place::ALL.iter().find(|(name, _)| rest[at..].starts_with(name));
            let Some((name, place)) = known.filter(|(_, place)| allowed.contains(place)) else {
                let allowed = Place::ALL.iter().filter(|(_, place)| allowed.contains(place));
                let allowed: Vec<&str> = allowed.map(|(name, _)| *name).collect();
                return Err(format!("`{text}`: within braces there can be {}", allowed.join(", ")));
            };
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            pieces.push(Piece::Place(*place));
            rest = &rest[at + name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether the place occurs.
    pub(super) fn has(&self, place: Place) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    /// Hands out the bytes piece by piece, so that a body need not be copied.
    pub(super) fn fill<'a>(&'a self, value: impl Fn(Place) -> &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(move |piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Place(place) => value(*place),
        })
    }

    /// The text with its places filled in.
    pub(super) fn text(&self, value: impl Fn(Place) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => value(*place),
        };
        self.0.iter().map(piece).collect()
    }

    /// What stands at the places of a text made by this pattern, and what follows it. `None`: it was not.
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<(Vec<(Place, &'t str)>, &'t str)> {
        let (mut found, mut rest) = (Vec::new(), text);
        for (index, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Place(place) => {
                    // Up to the text that comes next.
                    let end = match self.0.get(index + 1) {
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        Some(Piece::Place(_)) | None => rest.len(),
                    };
                    found.push((*place, &rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
        Some((found, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_can_be_read_again() {
        let pattern =
            Pattern::parse("t={timestamp},v1={hex};", &[Place::Timestamp, Place::Hex]).expect("valid");
        let text = pattern.text(|place| if place == Place::Hex { "ab".into() } else { "12".into() });
        assert_eq!(text, "t=12,v1=ab;");
        let (found, rest) = pattern.read("t=12,v1=ab;more").expect("fits");
        assert_eq!((found, rest), (vec![(Place::Timestamp, "12"), (Place::Hex, "ab")], "more"));
        assert_eq!(pattern.read("t=12;v1=ab;"), None);
    }

    #[test]
    fn unknown_places_are_refused() {
        let message = Pattern::parse("{hexx}", &[Place::Hex, Place::Base64]).expect_err("refused");
        assert_eq!(message, "`{hexx}`: within braces there can be {hex}, {base64}");
    }
}
