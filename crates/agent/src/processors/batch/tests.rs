use super::*;
use crate::settings::read_text;

fn check(yaml: &str, expected: &str) {
    assert_eq!(read_text::<Config>(yaml).err().unwrap_or_default(), expected, "{yaml}");
}

#[test]
fn settings_are_checked_in_the_words_of_the_collector() {
    check("", "");
    check("{timeout: 0s, send_batch_size: 0}", "");
    check("timeout: -1s", "timeout: timeout must be greater or equal to 0");
    check(
        "{send_batch_size: 100, send_batch_max_size: 99}",
        "send_batch_max_size: send_batch_max_size must be greater or equal to send_batch_size",
    );
    check(
        "metadata_keys: [X-Tenant, x-tenant]",
        "metadata_keys: duplicate entry in metadata_keys: \"x-tenant\" (case-insensitive)",
    );
}

#[test]
fn the_byte_bound_can_be_moved_and_switched_off() {
    let bound = |yaml: &str| read_text::<Config>(yaml).unwrap().send_batch_max_bytes.bytes();
    assert_eq!(bound(""), Some(4128768));
    assert_eq!(bound("send_batch_max_bytes: 1MiB"), Some(1 << 20));
    assert_eq!(bound("send_batch_max_bytes: off"), None);
    assert_eq!(bound("send_batch_max_bytes: 0"), None);
}
