use super::*;

#[test]
fn nobody_is_told_in_the_clear_who_we_are() {
    let of = |text: &str| {
        endpoint(&Settings {
            endpoint: Some(text.to_owned()),
            ..Settings::default()
        })
    };
    assert!(endpoint(&Settings::default()).unwrap().1);
    assert!(of("https://management.usgovcloudapi.net").unwrap().1);
    assert!(!of("http://127.0.0.1:7").unwrap().1 && !of("http://localhost:7").unwrap().1);
    for wrong in [
        "http://management.azure.com",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "x",
    ] {
        assert_eq!(of(wrong).unwrap_err().kind, ErrorKind::Denied, "{wrong}");
    }
}

#[test]
fn the_subscription_is_that_of_az() {
    let profile = "\u{feff}{\"subscriptions\": [{\"id\": \"a\", \"isDefault\": false}, {\"id\": \"b\", \"isDefault\": true}]}";
    assert_eq!(default_of(profile).as_deref(), Some("b"));
    assert_eq!(default_of("{\"subscriptions\": []}"), None);
    let strange = Settings {
        subscription: Some("a/../b".to_owned()),
        ..Settings::default()
    };
    assert!(
        subscription(&strange)
            .unwrap_err()
            .message
            .contains("AZURE_SUBSCRIPTION_ID")
    );
}

#[test]
fn answers_that_lead_elsewhere_are_not_followed() {
    let settings = Settings {
        subscription: Some("s".into()),
        endpoint: Some("http://127.0.0.1:9".into()),
    };
    let api = Api::new(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime
        .block_on(api.follow("http://127.0.0.1:8/x", "wait"))
        .unwrap_err();
    assert!(
        error.kind == ErrorKind::Other && error.message.contains("leads away"),
        "{error}"
    );
}
