//! Who may do what through the API: scopes, tokens, and whose things a token sees.
//!
//! Where a token comes from (`store`) and what a route asks for (`api`) does not belong here.

use std::fmt;

use super::UtcMillis;

/// One kind of permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Look at events, pictures, cameras, webhooks, messages.
    Read,
    /// Change and test webhooks and rules, retry messages. Includes `read`.
    Manage,
    /// Bring in events and alerts; see nothing.
    Ingest,
    /// Everything, tokens included.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Manage, Self::Ingest, Self::Admin];

    /// `read`, `manage`, `ingest`, `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }

    /// The error says what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is not one of read, manage, ingest, admin"))
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Manage => 2,
            Self::Ingest => 4,
            Self::Admin => 8,
        }
    }

    /// The scopes that include this one.
    fn granted_by(self) -> u8 {
        match self {
            Self::Read => Self::Read.bit() | Self::Manage.bit() | Self::Admin.bit(),
            Self::Manage | Self::Ingest | Self::Admin => self.bit() | Self::Admin.bit(),
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub const ADMIN: Self = Self(8);

    /// Whether the set holds the scope, or one that includes it.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & scope.granted_by() != 0
    }

    /// The scopes as they were given, without those they include.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads what [`fmt::Display`] writes: `read ingest`.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// A token as it may be shown: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The public part of the token.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Whose things it sees. `None`: everybody's.
    pub customer: Option<String>,
    /// When it was made.
    pub created_at: UtcMillis,
    /// When it was used last, to about ten minutes.
    pub last_used_at: Option<UtcMillis>,
    /// From then on it is refused.
    pub expires_at: Option<UtcMillis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_includes_all_and_manage_includes_read() {
        for (given, allowed) in [
            ("read", &[Scope::Read][..]),
            ("manage", &[Scope::Read, Scope::Manage]),
            ("ingest", &[Scope::Ingest]),
            ("admin", &Scope::ALL),
            ("", &[]),
        ] {
            let scopes = Scopes::parse(given).expect("known words");
            let found: Vec<_> = Scope::ALL.into_iter().filter(|scope| scopes.allow(*scope)).collect();
            assert_eq!(found, allowed, "{given}");
            assert_eq!(scopes.to_string(), given);
        }
        assert!(Scopes::parse("read write").is_err());
    }
}
