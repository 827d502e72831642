use crate::{
    config::{
        tests::{TARGET, parse, report},
        *,
    },
    registry::settings::Credential,
};

#[test]
fn a_password_is_read_from_a_file_without_its_line_end() {
    use secrecy::ExposeSecret as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let config = parse(&format!(
        "[registries.\"quay.io\"]\nusername = \"u\"\npassword = {{ file = \"{}\" }}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n",
        file.path().display()
    ));
    match config
        .registry(&"quay.io".parse().unwrap())
        .login
        .credential
    {
        Credential::Basic { password, .. } => assert_eq!(password.expose_secret(), "s3cret"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unreadable_secret_is_an_error_of_the_file() {
    let registry = |keys: &str| {
        let text =
            format!("[registries.\"quay.io\"]\n{keys}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
        report(&text).records().remove(0).message
    };
    assert!(
        registry("username = \"u\"\npassword = { env = \"UNSET_VARIABLE\" }")
            .contains("is not set")
    );
    assert!(registry("username = \"u\"\npassword = { file = \"/nope\" }").contains("/nope"));
    assert!(
        registry("username = \"u\"\npassword = { fil = \"/nope\" }").contains("unknown key `fil`")
    );
    assert!(registry("username = \"u\"").contains("without a `password`"));
    assert!(registry("login = \"sso\"").contains("unknown `login"));
    assert!(registry("ca_file = \"/nope\"").contains("/nope"));
}

/// What is said of these keys of a registry, and the report as it is printed.
fn registry_problem(keys: &str) -> (String, String) {
    let text = format!("[registries.\"quay.io\"]\n{keys}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
    let report = report(&text);
    let record = report.records().remove(0);
    (
        format!("{}: {} | {}", record.line, record.message, record.remedy),
        report.to_string(),
    )
}

#[test]
fn connection_mistakes_have_lines() {
    for (keys, expected) in [
        (
            "proxy = \"socks4://h:1\"",
            "2: `proxy` has an unknown scheme | write \"direct\"",
        ),
        ("proxy = \"nonsense\"", "2: `proxy` is no URL"),
        ("proxy = \"http://h/path\"", "2: `proxy` has more than"),
        ("ip = \"5\"", "2: `ip = \"5\"` is no family"),
        ("ip = 4", "2: bad value for `ip`"),
        ("endpoint = \"other.host\"", "2: `endpoint` is no URL"),
        (
            "endpoint = \"https://h/v2/\"",
            "2: `endpoint` has more than",
        ),
        (
            "endpoint = \"https://h\"\nplain_http = true",
            "3: `plain_http` beside",
        ),
        (
            "client_cert = \"/nope\"",
            "2: `client_cert` without a `client_key`",
        ),
        (
            "client_key = \"/nope\"",
            "2: `client_key` without a `client_cert`",
        ),
        (
            "client_key = \"/nope\"\nclient_cert = \"/nope\"",
            "2: `client_key` /nope: No such file",
        ),
        (
            "login = { helper = \"a/b\" }",
            "2: `a/b` is no credential helper's name",
        ),
        ("login = { help = \"x\" }", "2: unknown key `help`"),
        (
            "login = \"anonymous\"\nusername = \"u\"",
            "2: two ways to log in",
        ),
    ] {
        let (found, _) = registry_problem(keys);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_client_s_key_has_to_be_that_of_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = write("cert.pem", made.cert.pem());
    let right = write("right.pem", made.signing_key.serialize_pem());
    let wrong = write("wrong.pem", other.serialize_pem());
    let keys = |key: &str| format!("client_cert = \"{certificate}\"\nclient_key = \"{key}\"");
    let (found, _) = registry_problem(&keys(&wrong));
    assert!(
        found.starts_with("3: `client_key` does not go with"),
        "{found}"
    );
    let (found, _) = registry_problem(&keys(&certificate));
    assert!(found.contains("no private key in it"), "{found}");
    let text = format!(
        "[registries.\"quay.io\"]\n{}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n",
        keys(&right)
    );
    let config = parse(&text).registry(&"quay.io".parse().unwrap());
    assert!(config.client_identity.is_some());
    assert!(!format!("{config:?}").contains("PRIVATE"));
}

#[test]
fn no_secret_of_the_file_is_printed() {
    for keys in [
        "proxy = \"http://me:hunter2@h:1/path\"",
        "ip = \"5\"\nproxy = \"socks5://me:hunter2@h:1\"",
        "username = \"u\"\npassword = \"hunter2\"\nip = \"5\"",
        "endpoint = \"https://me:hunter2@h\"",
    ] {
        let (said, printed) = registry_problem(keys);
        assert!(
            !said.contains("hunter2") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
    let text = format!(
        "[registries.\"quay.io\"]\nproxy = \"http://me:hunter2@h:1\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    assert!(!format!("{:?}", parse(&text)).contains("hunter2"));
}

#[test]
fn a_password_in_the_file_is_never_shown() {
    let registry = "[registries.\"quay.io\"]\nusernam = \"u\"\n";
    for password in [
        "password = \"hunter2\"",
        "password = [\"hunter2\"]",
        "password = \"hunter2",
    ] {
        let text = format!("{registry}{password}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
        let shown = report(&text).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn an_inline_password_in_an_open_file_is_a_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[registries.\"quay.io\"]\nusername = \"u\"\npassword = \"hunter2\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    std::fs::write(file.path(), &text).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), open).unwrap();
    let config = Config::load(Some(file.path())).unwrap();
    assert_eq!(config.warnings.records()[0].severity, "warning");
    assert!(!config.warnings.to_string().contains("hunter2"));
    assert!(!format!("{:?}", config.registries).contains("hunter2"));
}

#[test]
fn inline_secrets_in_an_open_file_are_one_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let login = |host: &str| {
        format!("[registries.\"{host}\"]\nusername = \"u\"\npassword = \"hunter2-{host}\"\n")
    };
    let hosts = ["quay.io", "ghcr.io", "r.example.com"].map(login).concat();
    let text = format!("{hosts}{TARGET}[[mirror]]\nfrom = \"quay.io/a/b:1\"\n");
    std::fs::write(file.path(), &text).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), open).unwrap();
    let config = Config::load(Some(file.path())).unwrap();
    let records = config.warnings.records();
    let of_files = records.iter().filter(|r| r.message.contains("can read"));
    let said: Vec<_> = of_files.map(|r| (r.line, r.message.as_str())).collect();
    let once = "a password and 2 more secrets in a file that every user of this machine can read";
    assert_eq!(said, [(3, once)]);
}

/// What the file is warned of that has these tables, and mirrors from quay.io and two others to `TARGET`.
fn warnings(tables: &str) -> Vec<String> {
    let from = "from = [\"quay.io/a/b:1\", \"docker.io/a/c:1\", \"r1.example.com/*:1\"]";
    let config = parse(&format!("{tables}\n{TARGET}[[mirror]]\n{from}\n"));
    let records = config.warnings.records();
    let reported = records
        .iter()
        .map(|r| format!("{} | {}", r.message, r.remedy));
    reported.collect()
}

#[test]
fn misspelled_registry_warns() {
    for (wrong, right) in [
        ("m.exmaple.com", "m.example.com"),
        ("quai.io", "quay.io"),
        ("r1.example.con", "r1.example.com"),
    ] {
        let found = warnings(&format!("[registries.\"{wrong}\"]\nconnections = 4"));
        let expected = format!("no mirror names {wrong} | did you mean \"{right}\"?");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn named_or_distant_registry_is_no_warning() {
    for tables in [
        "[registries.\"m.example.com\"]\nconnections = 4",
        "[registries.\"ghcr.io\"]\nconnections = 4",
        "[registries.\"auth.docker.io\"]\nconnections = 4",
        // The one that it is near to has a table of its own.
        "[registries.\"r1.example.com\"]\nstall = \"9s\"\n[registries.\"r2.example.com\"]\nstall = \"9s\"",
    ] {
        assert_eq!(warnings(tables), Vec::<String>::new(), "{tables}");
    }
}

#[test]
fn whoever_talks_to_nobody_needs_no_secret() {
    let text = format!(
        "[http]\ntoken = {{ credential = \"a\" }}\n[registries.\"t.example\"]\nusername = \"x\"\n\
         password = {{ credential = \"b\" }}\n[registries.\"u.example\"]\nlogin = {{ helper = \"nope\" }}\n\
         [report]\nto = [\"ops\"]\n[notify.ops]\nkind = \"feishu\"\nurl = {{ credential = \"c\" }}\n\
         {TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mirror.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load_with(Some(&path), LoadOptions::WITHOUT_SECRETS).unwrap();
    assert_eq!(config.mirrors.len(), 1);
    assert!(Config::load(Some(&path)).is_err());
}

#[test]
fn broken_toml_hides_secrets() {
    for keys in [
        "password = hunter2",
        "pasword = \"hunter2\" oops",
        "password = \"\"\"\nhunter2\n\"\"\" oops",
        "proxy = http://u:hunter2@127.0.0.1:1",
    ] {
        let text = format!("[registries.\"quay.io\"]\n{keys}\n{TARGET}");
        let shown = Config::parse(Path::new("mirror.toml"), &text).unwrap_err();
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
    }
}

#[test]
fn reads_a_user_name_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "robot$ci\n").unwrap();
    let keys = |username: &str| {
        let text = format!(
            "[registries.\"quay.io\"]\nusername = {username}\npassword = \"x\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
        );
        Config::parse(Path::new("mirror.toml"), &text)
    };
    let config = keys(&format!("{{ file = \"{}\" }}", file.path().display())).unwrap();
    let login = config.registry(&"quay.io".parse().unwrap()).login;
    match login.credential {
        Credential::Basic { username, .. } => assert_eq!(username, "robot$ci"),
        other => panic!("{other:?}"),
    }
    let unset = keys("{ env = \"UNSET_VARIABLE\" }").unwrap_err();
    assert!(unset.to_string().contains("UNSET_VARIABLE is not set"));
    let none = keys("{}").unwrap_err();
    assert!(none.to_string().contains("`username` names no source"));
}

#[test]
fn config_names_fifo_and_device_as_errors() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let text = format!(
        "[registries.\"m.example.com\"]\nusername = \"u\"\npassword = {{ file = \"{}\" }}\n\
         ca_file = \"/dev/zero\"\n[[mirror]]\nfrom = \"nginx:1\"\ntarget = \"m.example.com/a\"\n",
        fifo.display()
    );
    let path = folder.path().join("mirror.toml");
    let error = Config::parse(&path, &text).unwrap_err().to_string();
    assert!(error.contains("a pipe, not a regular file"), "{error}");
    assert!(error.contains("a device, not a regular file"), "{error}");
    let error = Config::load(Some(&fifo)).unwrap_err().to_string();
    assert!(error.contains("a pipe, not a regular file"), "{error}");
}
