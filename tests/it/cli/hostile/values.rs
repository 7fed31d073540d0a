//! Values that somebody who wishes a program ill would write.

/// As JSON; what TOML can say of them is said there, too.
pub(super) fn nasty() -> Vec<serde_json::Value> {
    use serde_json::json;
    vec![
        json!(""),
        json!("../../../canary"),
        json!(-1),
        json!("\u{1b}[2J\u{1b}]0;title\u{7}"),
        json!(i64::MAX),
        json!([]),
        json!("/etc/passwd"),
        json!("999999999999999999999999 PB"),
        json!({}),
        json!("sha256:aa/../../canary"),
        json!(0),
        json!("a\u{202e}b\n--> <script>"),
        json!(true),
        json!("-1 h"),
        json!("x".repeat(100_000)),
        json!([[[[[[[[1]]]]]]]]),
        json!(1e308),
        json!("$(touch canary)`id`"),
        json!("$99999999999999999999"),
        json!("NaN"),
        json!(u32::MAX),
        json!("aws:*:*:**"),
        json!(null),
    ]
}
