use super::*;
use crate::enroll::Mode;
use crate::pki;

const HEAD: &str = "[gateway]\nlisten = \"127.0.0.1:0\"\n\
                    certificate = \"server.pem\"\nkey = \"server.key\"\n";

const NOT_COMPAT: &str = if cfg!(feature = "compat") { "RSA key" } else { "built without" };

const BAD_STORE: &str =
    if cfg!(feature = "postgres") { "not a PostgreSQL URL" } else { "built without" };

fn load(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    pki::init(&dir.path().join("pki"), &["gw.test".to_owned()]).unwrap();
    let dir = dir.path().join("pki");
    let file = dir.join("test.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file)
}

#[test]
fn errors_name_their_line() {
    // (text after the [gateway] table, which has 4 lines; line of the error; part of its text)
    let cases = [
        ("thread = 2", 5, "unknown field `thread`"),
        ("threads = 0", 5, "at least 1"),
        ("tls = \"old\"", 5, "unknown variant `old`"),
        ("tls_suites = []", 5, "only with `tls = \"compat\"`"),
        // init makes ECDSA keys; a build without OpenSSL reports that instead.
        ("tls = \"compat\"", 5, NOT_COMPAT),
        ("client_ca = \"none.pem\"", 5, "none.pem"),
        ("client_ca = \"server.key\"", 5, "no certificate"),
        ("[limits]\nstreams = -1", 6, "invalid value"),
        ("[limits]\nhandshake_timeout = 0", 6, "in seconds"),
        ("[host.a]\nurl = \"http://x\"", 6, "unknown field `url`"),
        ("[host.a]\nuri = \"https://x\"", 6, "not an http:// address"),
        ("[host.a]\nuri = \"http://x/y\"", 6, "a path is taken from each request"),
        ("[host.a]\nuri = \"http://u:p@x\"", 6, "no plain host"),
        ("[host.a]\nuri = \"127.0.0.1:80\"", 6, "http://127.0.0.1:1337"),
        ("[host.a]\nconnect = \"127.0.0.1\"", 6, "is not a target"),
        ("[host.a]\nconnect = \"u@h:1\"", 6, "is not a target"),
        ("[host.a]\nconnect = { 443 = \"x\" }", 6, "is not a target"),
        ("[host.a]\nconnect = { https = \"h:1\" }", 6, "`https` is not a port"),
        ("[host.a]\nconnect = {}", 6, "no port has a target"),
        ("[host.a]\nbuiltin = \"heloo\"", 6, "unknown variant `heloo`"),
        ("[host.a]\nuri = \"http://x\"\nhost_header = \"a\\nb\"", 7, "header value"),
        ("[host.a]\n", 5, "needs one of `uri`, `builtin` and `connect`"),
        ("[host.a]\nuri = \"http://x\"\nbuiltin = \"echo\"", 5, "keep one"),
        ("[host.a]\nbuiltin = \"echo\"\nupgrade = true", 5, "only with a `uri`"),
        ("[host.a]\nbuiltin = \"echo\"\n[host.A]\nbuiltin = \"echo\"", 5, "in other case"),
        ("[hosts.a]", 5, "unknown field `hosts`"),
        ("client_id_header = \"a b\"", 5, "HTTP header name"),
        ("client_id_header = \"Host\"", 5, "HTTP itself uses"),
        ("client_id_header = \"X-SeaCat-Client-Tag\"", 5, "need two fields"),
        ("[enroll]\nmode = \"auto\"", 6, "unknown variant `auto`"),
        ("[enroll]\nvalidity = 60", 5, "missing field `mode`"),
        ("[enroll]\nmode = \"pending\"\nvalidity = 0", 7, "above 0 and at most 315532800"),
        ("[enroll]\nmode = \"pending\"\nca_key = \"none.key\"", 6, "none.key"),
        ("[enroll]\nmode = \"pending\"\nca_key = \"ca.key\"", 6, "not the key of the CA"),
        ("[enroll]\nmode = \"pending\"\nstate = \"s\"\nstore = \"postgres://h/d\"", 8, "keep one"),
        ("[enroll]\nmode = \"pending\"\nstore_ca_file = \"ca.pem\"", 7, "set `store` as well"),
        ("[enroll]\nmode = \"pending\"\nstore = \"mysql://h/d\"", 7, BAD_STORE),
        ("client_ca = \"ca.pem\"\n[enroll]\nmode = \"pending\"", 5, "keep one"),
        ("[host.a]\nbuiltin = \"echo\"\nidentity = true", 5, "set [enroll] or `client_ca`"),
        (
            "[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 22",
            5,
            "set [enroll]",
        ),
        (
            "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"X\"\nport = 22",
            8,
            "client tag",
        ),
        (
            "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"[::]:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 22",
            7,
            "allow_remote",
        ),
        (
            "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 0",
            9,
            "nonzero",
        ),
        ("[host.a", 5, ""),
    ];
    for (text, line, part) in cases {
        let error = load(&format!("{HEAD}{text}")).unwrap_err();
        assert_eq!(error.line, Some(line), "{text:?}: {error}");
        assert!(error.what.contains(part), "{text:?}: {error}");
        let shown = error.to_string();
        assert!(shown.contains(&format!("test.toml, line {line}: ")), "{shown}");
    }
}

#[test]
#[cfg(feature = "compat")]
fn suites_are_chosen_by_their_names() {
    // Without the suite of the reference client an ECDSA key will do.
    let with = |suites: &str| load(&format!("{HEAD}tls = \"compat\"\ntls_suites = {suites}"));
    assert!(matches!(with("[\"TLS_AES_128_GCM_SHA256\"]").unwrap().tls, ServerTls::OpenSsl(_)));
    for (suites, part) in [("[\"RC4-MD5\"]", "`RC4-MD5` is not one of"), ("[]", "no suite")] {
        let error = with(suites).unwrap_err();
        assert_eq!(error.line, Some(6), "{error}");
        assert!(error.what.contains(part), "{error}");
    }
}

#[test]
fn a_missing_file_names_the_command_that_creates_one() {
    let error = Config::load(Path::new("/nonexistent/gateway.toml")).unwrap_err();
    assert_eq!(error.line, None);
    assert!(error.to_string().starts_with("/nonexistent/gateway.toml: "), "{error}");
    assert!(error.what.contains("seacat-gateway init"), "{error}");
}

#[test]
fn a_mismatched_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    pki::init(&pki, &[]).unwrap();
    let file = pki.join("test.toml");
    std::fs::write(&file, HEAD.replace("server.key", "ca.key")).unwrap();
    let error = Config::load(&file).unwrap_err();
    assert_eq!(error.line, Some(3), "{error}");
}

#[test]
fn every_setting_of_enrolment_arrives() {
    let config = load(&format!(
        "{HEAD}client_id_header = \"X-Id\"\nclient_tag_header = \"X-Tag\"\n\
         [enroll]\nmode = \"automatic\"\nstate = \"clients\"\nvalidity = 60\n\
         ca_certificate = \"client-ca.pem\"\nca_key = \"client-ca.key\"\n\
         auto_renew = false\nauto_renew_expired = true\nmax_pending = 2\nmax_clients = 3\n\
         pending_expiry = 86400\n\
         [host.a]\nbuiltin = \"echo\"\nidentity = true\n",
    ))
    .unwrap();
    assert_eq!(config.identity_fields.id, "x-id");
    assert_eq!(config.identity_fields.tag, "x-tag");
    assert!(config.hosts["a"].identity);
    let Identities::Enroll(enroll) = config.identities else { panic!() };
    let policy = Policy {
        mode: Mode::Automatic,
        validity: Duration::from_secs(60),
        auto_renew: false,
        auto_renew_expired: true,
        max_pending: 2,
        pending_expiry: Duration::from_secs(86_400),
        max_clients: 3,
        ..Policy::default()
    };
    assert_eq!(enroll.policy, policy);
    assert!(matches!(enroll.state, StateAt::Folder(path) if path.ends_with("pki/clients")));
}

#[test]
fn every_setting_arrives() {
    let config = load(&format!(
        "{HEAD}client_ca = \"ca.pem\"\nthreads = 3\n\
         [limits]\nconnections = 5\nstreams = 6\nhandshake_timeout = 0.5\ndrain_timeout = 7\n\
         memory = 8\nspool = 9\nstranger_idle = 10\n\
         [host.Erp]\nuri = \"http://[::1]:81\"\nhost_header = \"erp.test\"\n\
         connect_timeout = 1\nresponse_timeout = 2.5\nbody_timeout = 5\nvia = \"off\"\nupgrade = true\n\
         x_forwarded_for = true\nx_forwarded_host = true\nconnect = \"[::1]:8443\"\n\
         [host.plain]\nuri = \"http://backend\"\n[host.echo]\nbuiltin = \"echo\"\n",
    ))
    .unwrap();
    assert_eq!(config.threads, 3);
    let limits = Limits {
        connections: 5,
        memory: 8 << 20,
        spool: 9 << 20,
        descriptors: seacat_link::descriptors::for_peers(),
        stranger_idle: Duration::from_secs(10),
        streams: 6,
        handshake_timeout: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(7),
    };
    assert_eq!(config.limits, limits);
    let erp = &config.hosts["erp"];
    assert_eq!(erp.connect_timeout, Duration::from_secs(1));
    let connect = erp.connect.as_ref().unwrap();
    for (port, target) in [(443, Some("[::1]:8443")), (8443, Some("[::1]:8443")), (80, None)] {
        let found = connect.target(port).map(ToString::to_string);
        assert_eq!(found.as_deref(), target, "{port}");
    }
    let Some(Backend::Http(upstream)) = &erp.backend else { panic!("{erp:?}") };
    assert_eq!(upstream.endpoint, Endpoint { host: "::1".into(), port: 81 });
    assert_eq!(upstream.host_header.as_ref().unwrap(), "erp.test");
    assert_eq!(upstream.body_timeout, Duration::from_secs(5));
    assert!(!upstream.via);
    assert_eq!(upstream.response_timeout, Duration::from_millis(2500));
    assert!(upstream.upgrade && upstream.x_forwarded_for && upstream.x_forwarded_host);
    let Some(Backend::Http(plain)) = &config.hosts["plain"].backend else { panic!() };
    assert_eq!(plain.endpoint.to_string(), "backend:80");
    assert!(plain.host_header.is_none() && plain.via);
    assert!(!plain.upgrade && !plain.x_forwarded_for && !plain.x_forwarded_host);
    assert!(matches!(config.hosts["echo"].backend, Some(Backend::Builtin(Builtin::Echo))));
}
