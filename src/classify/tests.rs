use super::*;

#[test]
fn a_text_without_exchange_is_left_at_once() {
    assert!(!mentions_exchange("Varlo makes pumps and has 400 employees."));
    assert!(mentions_exchange("a Nasdaq letter"));
}
