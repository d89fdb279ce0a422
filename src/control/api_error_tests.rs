use super::*;

fn read(status: u16, body: &str) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap();
    ApiError::read(status, &HeaderMap::new(), body.as_bytes(), SystemTime::now())
}

#[test]
fn case_053_a_known_code_comes_with_its_mitigation() {
    let body = r#"{"error":{"message":"no","type":"x","code":"tunnel_use_forbidden","param":null}}"#;
    let error = read(403, body);
    assert_eq!(error.code.as_deref(), Some("tunnel_use_forbidden"));
    let text = error.to_string();
    assert!(text.starts_with("403 Forbidden: tunnel_use_forbidden: no mitigation: use a key"), "{text}");
    assert!(error.is_refused());
}

#[test]
fn other_shapes_are_read() {
    let top = read(500, r#"{"message":"m","code":"c"}"#);
    assert_eq!((top.code.as_deref(), top.message.as_str()), (Some("c"), "m"));
    assert_eq!(read(500, r#"{"detail":"d"}"#).message, "d");
    assert_eq!(read(500, r#"{"error":"e"}"#).message, "e");
    assert_eq!(read(500, " plain ").message, "plain");
    assert_eq!(read(500, "").to_string(), "500 Internal Server Error");
    assert_eq!(read(500, "[]").message, "");
}

#[test]
fn case_057_detail_of_any_shape_is_shown_as_json() {
    assert_eq!(read(422, r#"{"detail":[{"a":1}]}"#).message, r#"[{"a":1}]"#);
}

#[test]
fn case_058_an_unknown_code_is_shown_without_a_hint() {
    let error = read(418, r#"{"error":{"code":"teapot","message":"short"}}"#);
    assert_eq!((error.to_string().as_str(), error.mitigation), ("418 I'm a teapot: teapot: short", None));
}

#[test]
fn case_055_what_is_kept_is_bounded() {
    let long = "é".repeat(5000);
    assert_eq!(read(500, &long).message.chars().count(), 1027);
    let error = read(500, &format!(r#"{{"error":{{"message":"{long}","code":"{long}"}}}}"#));
    assert_eq!(error.message.chars().count(), 1027);
    assert_eq!(error.code.unwrap().chars().count(), 131);
    assert!(read(500, &"[".repeat(60_000)).message.len() < 2000, "depth is no danger");
}

#[test]
fn case_023_a_redirect_is_an_error_like_others() {
    let error = read(302, r#"{"error":{"message":"go there"}}"#);
    assert_eq!(error.to_string(), "302 Found: redirects are not followed");
}

#[test]
fn headers_are_read() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", "req_1".parse().unwrap());
    headers.insert("retry-after", "3".parse().unwrap());
    let error = ApiError::read(StatusCode::TOO_MANY_REQUESTS, &headers, b"", SystemTime::now());
    assert_eq!(error.tunnel_request_id.as_deref(), Some("req_1"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn every_code_of_the_contract_has_a_mitigation() {
    let codes = [
        "invalid_channel_format",
        "invalid_json_payload",
        "invalid_tunnel_id_format",
        "missing_mcp_session_id",
        "oauth_shim_audience_unavailable",
        "oauth_shim_harpoon_call_failed",
        "oauth_shim_invalid_target_uri",
        "oauth_shim_target_not_found",
        "oauth_shim_unshimmable_endpoint",
        "oauth_shim_upstream_timeout",
        "pending_request_not_found",
        "rate_limit_exceeded",
        "request_body_too_large",
        "rfc9728_www_authenticate_unsupported",
        "tunnel_active_organization_context_required",
        "tunnel_active_organization_required",
        "tunnel_client_not_connected",
        "tunnel_client_not_seen",
        "tunnel_management_permission_required",
        "tunnel_missing_principals",
        "tunnel_principal_association_unverified",
        "tunnel_principal_limit_exceeded",
        "tunnel_principal_validation_override_automatically_derivable",
        "tunnel_principal_validation_override_management_permission_required",
        "tunnel_queue_full",
        "tunnel_request_mismatch",
        "tunnel_transport_unavailable",
        "tunnel_use_forbidden",
    ];
    for code in codes {
        assert!(mitigation(code).is_some(), "{code}");
    }
}
