//! Reads the XML of cameras, whose prefixes and nesting differ: elements are found by their local names, wherever they stand.

use roxmltree::{Document, Node, ParsingOptions};

/// A camera with sixteen lenses answers with about 2000.
const MOST_NODES: u32 = 100_000;
/// Text longer than this is no name and no address.
const MOST_TEXT: usize = 1000;

/// Parses; no entities, no DTD.
pub(super) fn parse(text: &str) -> Option<Document<'_>> {
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text.trim_start_matches('\u{feff}').trim_start(), options).ok()
}

/// The elements of this name below, in document order.
pub(super) fn all<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |found| found.is_element() && found.tag_name().name() == name)
}

/// The first of them.
pub(super) fn first<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    all(node, name).next()
}

/// The text of the first of them: printable, on one line, not empty.
pub(super) fn text(node: Node<'_, '_>, name: &'static str) -> Option<String> {
    let raw = first(node, name)?.text()?;
    printable(raw)
}

/// The number in the first of them.
pub(super) fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &'static str) -> Option<T> {
    first(node, name)?.text()?.trim().parse().ok()
}

/// Text that may be shown.
pub(super) fn printable(raw: &str) -> Option<String> {
    let text: String = raw.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TEXT).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_nesting_do_not_matter() {
        let document = parse("\u{feff} <a:X xmlns:a='u'><a:Y><Name> Gate\n 1 </Name></a:Y><W>640</W></a:X>")
            .expect("xml");
        assert_eq!(text(document.root(), "Name").as_deref(), Some("Gate  1"));
        assert_eq!(number(document.root(), "W"), Some(640));
        assert_eq!(number::<u32>(document.root(), "Name"), None);
    }

    #[test]
    fn what_is_no_plain_xml_is_refused() {
        let laughs = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><l>&b;</l>";
        let deep = "<a>".repeat(200_000);
        for bad in ["", "<", "<a>", "hello", laughs, "<a>\u{0}</a>", &deep] {
            assert!(parse(bad).is_none(), "{}", bad.get(..20).unwrap_or(bad));
        }
        let closed = |times| format!("{}{}", "<a>".repeat(times), "</a>".repeat(times));
        assert!(parse(&closed(200_000)).is_none());
        // Neither parsing nor searching recurses.
        let many = closed(90_000);
        assert_eq!(all(parse(&many).expect("xml").root(), "a").count(), 90_000);
    }
}
