//! What expressions come to, and which are refused.

use super::*;

fn eval(source: &str) -> Value {
    let context = minijinja::context! {
        alert => minijinja::context! { severity => "critical", count => 3 },
        list => vec![minijinja::context! { name => "a" }, minijinja::context! { name => "b" }],
        yes => true, no => false, null_too => (),
    };
    let text = format!("{source}}}}} rest");
    let (expression, rest) = Expression::compile(&text).unwrap_or_else(|error| unreachable!("{error}"));
    assert_eq!(rest, " rest");
    expression.eval(&context).unwrap_or_else(|error| unreachable!("{error}"))
}

fn refused(source: &str) -> String {
    Expression::compile(&format!("{source}}}}}")).expect_err(source)
}

#[test]
fn s5_14_operators_bind_as_in_c() {
    for (source, expected) in [
        ("alert.severity == 'critical' ? 'danger' : 'warning'", Value::from("danger")),
        ("alert.severity != 'critical' ? 'danger' : 'warning'", Value::from("warning")),
        ("no ? 1 : yes ? 2 : 3", Value::from(2)),
        ("yes ? no ? 1 : 2 : 3", Value::from(2)),
        ("yes || no && no", Value::from(true)),
        ("!no && !(no || no)", Value::from(true)),
        ("!no == no", Value::from(false)),
        ("!!yes", Value::from(true)),
        ("alert.count >= 3 && alert.count < 4", Value::from(true)),
        ("alert.count > -1", Value::from(true)),
        ("alert.count <= 2.5", Value::from(false)),
        ("list.1.name", Value::from("b")),
        ("list[no ? 0 : 1].name | upper", Value::from("B")),
        ("{'a': {'b': yes ? 1 : 2}}.a.b", Value::from(1)),
        ("'}} ' == \"}} \"", Value::from(true)),
        ("gone.further.away == null && null_too == null", Value::from(true)),
        ("alert.severity != null ? 1 : 2", Value::from(1)),
        ("alert.severity in ['low', 'critical']", Value::from(true)),
    ] {
        assert_eq!(eval(source), expected, "{source}");
    }
}

#[test]
fn s5_14_what_the_language_has_not_is_refused_with_what_to_write() {
    for (source, part) in [
        ("a + b", "filters plus, times"),
        ("a - 1", "only a sign"),
        ("'x' * 1000000000", "filters plus, times"),
        ("a ~ b", "texts are joined"),
        ("a = b", "write =="),
        ("a & b", "write &&"),
        ("range(10)", "no functions"),
        ("'a'.format(b)", "no functions"),
        ("a | uper", "did you mean `upper`?"),
        ("a ? b", "needs a `:`"),
        ("a ? : b", "a value is missing"),
        ("", "a value is missing"),
        ("(a", "missing"),
        ("a b", "`b` is out of place"),
        ("a ; b", "means nothing here"),
        ("a | ", "name of a filter"),
        ("a[1:2]", "the closing `]` is missing"),
        ("{a}", "`:`"),
    ] {
        let message = refused(source);
        assert!(message.contains(part), "{source}: {message}");
    }
    assert!(Expression::compile("a").expect_err("open").contains("closing }} is missing"));
    assert!(Expression::compile("'a }}").expect_err("open").contains("closing ' is missing"));
}

#[test]
fn s5_14_hostile_expressions_are_refused_in_no_time() {
    let began = std::time::Instant::now();
    for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("a ? ", ""), ("{'a': ", "}")] {
        let source = format!("{}a{}", open.repeat(500), close.repeat(500));
        assert!(refused(&source).contains("nested deeper"), "{open}");
    }
    assert!(refused(&"a || ".repeat(10_000)).contains("at most 4096 bytes"));
    assert!(refused(&format!("{}a", "a.b == ".repeat(100_000))).contains("at most 4096 bytes"));
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    let huge = eval("99999999999999999999999999999999999999");
    assert_eq!(huge.to_string(), "99999999999999999999999999999999999999");
}
