use crate::settings::login::*;

#[test]
fn a_helper_s_name_is_no_path() {
    assert!(check_helper_name("ecr-login").is_ok());
    for wrong in ["", "../x", "a b", "docker-credential-ecr-login"] {
        assert!(check_helper_name(wrong).is_err(), "{wrong}");
    }
}
