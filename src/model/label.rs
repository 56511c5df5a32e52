//! What people call the things that a detector tells apart.

use serde::{Deserialize, Serialize};

/// The home class: few enough that small models do not confuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// A human.
    Person,
    /// Anything that drives: car, truck, bus, motorcycle, bicycle, boat, train.
    Vehicle,
    /// Pets, livestock and wildlife.
    Animal,
    /// Something that was left or is carried: suitcase, backpack, hand bag.
    Package,
    /// A human face.
    Face,
}

impl Label {
    /// Every label, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Person, Self::Vehicle, Self::Animal, Self::Package, Self::Face];

    /// The name used everywhere: `person`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Vehicle => "vehicle",
            Self::Animal => "animal",
            Self::Package => "package",
            Self::Face => "face",
        }
    }

    /// The label of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == name)
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The home label of a model's own class name (COCO spelling), if it has one.
#[must_use]
pub fn home_label(class: &str) -> Option<Label> {
    match class {
        "person" => Some(Label::Person),
        "bicycle" | "car" | "motorcycle" | "bus" | "train" | "truck" | "boat" => Some(Label::Vehicle),
        "bird" | "cat" | "dog" | "horse" | "sheep" | "cow" | "elephant" | "bear" | "zebra" | "giraffe" => {
            Some(Label::Animal)
        }
        "backpack" | "handbag" | "suitcase" | "package" => Some(Label::Package),
        "face" => Some(Label::Face),
        _ => None,
    }
}
