use crate::config::notify::template::*;

fn refused(source: &str) -> String {
    BodyTemplate::parse(source).unwrap_err()
}

#[test]
fn values_are_escaped_as_json() {
    let template = BodyTemplate::parse(r#"{"content": {{ title }}, "n": {{ alarms | length }}}"#);
    let template = template.unwrap();
    let message = json!({
        "event": "alarm",
        "title": "\"}, {\"content\": \"</script>\n",
        "alarms": [1, 2],
    });
    let body: Value = serde_json::from_str(&template.render(&message).unwrap()).unwrap();
    assert_eq!(body, json!({ "content": message["title"], "n": 2 }));
}

#[test]
fn texts_can_be_cut_and_alarms_listed() {
    let source = r#"[{% for alarm in alarms %}{{ alarm.message[:6] }}{{ "," if not loop.last }}{% endfor %}]"#;
    let source = source.replace(
        r#"{{ "," if not loop.last }}"#,
        "{% if not loop.last %},{% endif %}",
    );
    let template = BodyTemplate::parse(&source).unwrap();
    let alarm = |message: &str| json!({ "message": message });
    let message = json!({ "event": "alarm", "alarms": [alarm("nginx lags"), alarm("redis lags")] });
    assert_eq!(template.render(&message).unwrap(), r#"["nginx ","redis "]"#);
}

#[test]
fn bad_templates_are_refused_with_the_reason() {
    for (source, reason) in [
        (r#"{"a": {{ titel }}}"#, "undefined"),
        ("{\n\"a\": {{ title }\n}", "line 2"),
        (r#"{"a": "{{ title }}"}"#, "no JSON"),
        (
            "{% if event == \"alarm\" %}{}{% endif %}",
            "for recovered it renders no JSON",
        ),
    ] {
        let said = refused(source);
        assert!(said.contains(reason), "{source}: {said}");
    }
}
