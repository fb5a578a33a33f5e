use super::*;
use crate::write::{bytes_field, fixed64_field, message_field, tag, varint, varint_field};

/// A request for traces with one span that `fill` writes.
fn span(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    nested(&[1, 2, 2], fill)
}

/// Messages inside one another, in fields of these numbers.
fn nested(numbers: &[u32], fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut content = Vec::new();
    fill(&mut content);
    for number in numbers.iter().rev() {
        let mut outer = Vec::new();
        bytes_field(&mut outer, *number, &content);
        content = outer;
    }
    content
}

fn refused(signal: Signal, request: &[u8]) -> (Fault, usize) {
    let malformed = skim(signal, request).expect_err("refused");
    (malformed.what, malformed.offset)
}

#[test]
fn an_empty_request_is_valid_and_has_no_items() {
    for signal in Signal::ALL {
        assert_eq!(skim(signal, &[]), Ok(Skim { items: 0, resources: 0 }));
    }
}

#[test]
fn counts_spans_and_resources() {
    let mut request = span(|_| {});
    request.extend(span(|_| {}));
    assert_eq!(skim(Signal::Traces, &request), Ok(Skim { items: 2, resources: 2 }));
}

#[test]
fn of_several_kinds_of_data_in_a_metric_the_last_counts() {
    let points = |out: &mut Vec<u8>, kind, points: usize| {
        message_field(out, kind, |out| (0..points).for_each(|_| bytes_field(out, 1, &[])));
    };
    let request = nested(&[1, 2, 2], |out| {
        points(out, 5, 7);
        points(out, 7, 1);
        points(out, 7, 2);
    });
    assert_eq!(skim(Signal::Metrics, &request).map(|skim| skim.items), Ok(3));
}

#[test]
fn refuses_a_request_that_is_cut_off_and_says_where() {
    let request = span(|out| bytes_field(out, 5, b"GET /items"));
    for len in 1..request.len() {
        assert!(skim(Signal::Traces, &request[..len]).is_err(), "{len}");
    }
    assert_eq!(refused(Signal::Traces, &request[..4]), (Fault::Length, 1));
}

#[test]
fn refuses_a_length_beyond_the_message_around_it() {
    // The name of the span claims eleven bytes, and there are ten in the span; the request goes on behind it.
    let mut request = span(|out| {
        out.extend([0x2a, 11]);
        out.extend(b"GET /items");
    });
    request.extend([0x0a, 0]);
    assert_eq!(refused(Signal::Traces, &request), (Fault::Length, 7));
}

#[test]
fn refuses_a_length_of_all_there_is() {
    let mut request = vec![0x0a];
    varint(&mut request, u64::MAX);
    assert_eq!(refused(Signal::Logs, &request).0, Fault::Length);
}

#[test]
fn refuses_groups_and_wire_types_that_do_not_exist() {
    for wire_type in [3, 4, 6, 7] {
        let unknown = span(|out| tag(out, 100, wire_type));
        assert_eq!(refused(Signal::Traces, &unknown), (Fault::Tag, 6));
        let known = span(|out| tag(out, 5, wire_type));
        assert_eq!(refused(Signal::Traces, &known), (Fault::Tag, 6));
    }
}

#[test]
fn refuses_field_number_zero_and_numbers_above_29_bits() {
    assert_eq!(refused(Signal::Traces, &[0x02, 0x00]), (Fault::Tag, 0));
    assert_eq!(refused(Signal::Traces, &[0x82, 0x00, 0x00]), (Fault::Tag, 0));
    let mut request = Vec::new();
    varint(&mut request, 1 << 32);
    assert_eq!(refused(Signal::Traces, &request), (Fault::Tag, 0));
}

#[test]
fn refuses_a_known_field_of_another_wire_type() {
    assert_eq!(refused(Signal::Traces, &span(|out| varint_field(out, 5, 1))), (Fault::WireType, 6));
    // The flags of a span are field 16, with a tag of two bytes.
    assert_eq!(refused(Signal::Traces, &span(|out| varint_field(out, 16, 1))), (Fault::WireType, 6));
    assert_eq!(refused(Signal::Traces, &span(|out| bytes_field(out, 7, &[0; 8]))), (Fault::WireType, 6));
}

#[test]
fn takes_numbers_up_to_64_bits_and_refuses_longer_ones() {
    let number = |last: &[u8]| {
        span(|out| {
            out.push(0x50);
            out.extend([0xff; 9]);
            out.extend(last);
        })
    };
    assert!(skim(Signal::Traces, &number(&[0x01])).is_ok());
    assert_eq!(refused(Signal::Traces, &number(&[0x02])).0, Fault::Varint);
    assert_eq!(refused(Signal::Traces, &number(&[0x81, 0x00])).0, Fault::Varint);
}

#[test]
fn takes_a_tag_that_is_longer_than_it_needs_to_be() {
    let request = span(|out| out.extend([0xaa, 0x00, 0x01, b'x']));
    assert_eq!(skim(Signal::Traces, &request).map(|skim| skim.items), Ok(1));
}

#[test]
fn takes_ids_of_their_length_or_none_and_no_others() {
    for (number, len) in [(1, 16), (2, 8), (4, 8)] {
        let id = |len: usize| span(|out| bytes_field(out, number, &vec![7; len]));
        assert!(skim(Signal::Traces, &id(0)).is_ok());
        assert!(skim(Signal::Traces, &id(len)).is_ok());
        assert_eq!(refused(Signal::Traces, &id(len - 1)).0, Fault::Id);
        assert_eq!(refused(Signal::Traces, &id(len + 1)).0, Fault::Id);
    }
}

#[test]
fn refuses_text_that_is_not_utf8_wherever_it_stands() {
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", &[b"a".repeat(200), b"\x80".to_vec()].concat()] {
        let name = span(|out| bytes_field(out, 5, bad));
        assert_eq!(refused(Signal::Traces, &name).0, Fault::Utf8);
        let key = span(|out| message_field(out, 9, |out| bytes_field(out, 1, bad)));
        assert_eq!(refused(Signal::Traces, &key).0, Fault::Utf8);
        let value = attribute(|out| bytes_field(out, 1, bad));
        assert_eq!(refused(Signal::Traces, &value).0, Fault::Utf8);
        let bytes = attribute(|out| bytes_field(out, 7, bad));
        assert!(skim(Signal::Traces, &bytes).is_ok());
    }
}

/// A span with one attribute, the value of which `fill` writes.
fn attribute(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    span(|out| {
        message_field(out, 9, |out| {
            bytes_field(out, 1, b"http.route");
            message_field(out, 2, fill);
        });
    })
}

#[test]
fn every_kind_of_plain_value_is_taken() {
    for text in ["", "GET", "größe", &"x".repeat(120), &"x".repeat(127), &"x".repeat(128), &"x".repeat(20_000)] {
        assert!(skim(Signal::Traces, &attribute(|out| bytes_field(out, 1, text.as_bytes()))).is_ok(), "{text}");
    }
    for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
        assert!(skim(Signal::Traces, &attribute(|out| varint_field(out, 3, number))).is_ok(), "{number}");
    }
    assert!(skim(Signal::Traces, &attribute(|out| varint_field(out, 2, 1))).is_ok());
    assert!(skim(Signal::Traces, &attribute(|out| fixed64_field(out, 4, u64::MAX))).is_ok());
    assert!(skim(Signal::Traces, &attribute(|_| {})).is_ok());
}

#[test]
fn an_attribute_whose_lengths_do_not_add_up_is_refused() {
    // Value one byte short, one byte long, and a text one byte long.
    for (value_len, text_len) in [(4, 3), (6, 3), (5, 4)] {
        let request = span(|out| {
            out.extend([0x4a, 10, 0x0a, 1, b'k', 0x12, value_len, 0x0a, text_len]);
            out.extend(b"GET");
        });
        assert!(skim(Signal::Traces, &request).is_err(), "{value_len} {text_len}");
    }
}

#[test]
fn packed_numbers_must_be_whole() {
    let point = |fill: &dyn Fn(&mut Vec<u8>)| nested(&[1, 2, 2, 9, 1], fill);
    assert!(skim(Signal::Metrics, &point(&|out| bytes_field(out, 6, &[0; 16]))).is_ok());
    assert!(skim(Signal::Metrics, &point(&|out| fixed64_field(out, 6, 3))).is_ok());
    assert_eq!(refused(Signal::Metrics, &point(&|out| bytes_field(out, 6, &[0; 15]))).0, Fault::Length);
    let buckets = |packed: &[u8]| nested(&[1, 2, 2, 10, 1, 8], |out| bytes_field(out, 2, packed));
    assert!(skim(Signal::Metrics, &buckets(&[1, 0x80, 0x01])).is_ok());
    assert_eq!(refused(Signal::Metrics, &buckets(&[1, 0x80])).0, Fault::Varint);
}

#[test]
fn values_may_nest_to_the_bound_and_not_deeper() {
    // A request, a group, a scope and a record are around the body; each level of a list is a list and a value.
    let body = |lists: usize| {
        let mut numbers = vec![1, 2, 2, 5];
        numbers.extend([5, 1].repeat(lists));
        nested(&numbers, |_| {})
    };
    assert!(skim(Signal::Logs, &body((MAX_DEPTH - 5) / 2)).is_ok());
    assert_eq!(refused(Signal::Logs, &body((MAX_DEPTH - 5) / 2 + 1)).0, Fault::Depth);
    assert_eq!(refused(Signal::Logs, &body(10_000)).0, Fault::Depth);
}

#[test]
fn a_plain_attribute_does_not_get_around_the_bound() {
    // Maps inside one another, each an attribute with a map; the innermost has a plain one.
    let body = |maps: usize| {
        let mut numbers = vec![1, 2, 2, 5];
        numbers.extend([6, 1, 2].repeat(maps));
        numbers.extend([6, 1]);
        nested(&numbers, |out| {
            bytes_field(out, 1, b"k");
            message_field(out, 2, |out| bytes_field(out, 1, b"v"));
        })
    };
    // Around the innermost value: the request and four more, three for each map, a list of values and the attribute.
    let deepest = (MAX_DEPTH - 8) / 3;
    assert!(skim(Signal::Logs, &body(deepest)).is_ok());
    assert_eq!(refused(Signal::Logs, &body(deepest + 1)).0, Fault::Depth);
}

#[test]
fn unknown_fields_are_taken_everywhere() {
    let request = span(|out| {
        varint_field(out, 17, 1);
        bytes_field(out, 1000, b"\xff\xff");
        fixed64_field(out, 536_870_911, 1);
        message_field(out, 9, |out| varint_field(out, 15, 300));
    });
    assert_eq!(skim(Signal::Traces, &request).map(|skim| skim.items), Ok(1));
}

#[test]
fn says_in_words_what_is_wrong() {
    let malformed = Malformed { offset: 17, what: Fault::Utf8 };
    assert_eq!(malformed.to_string(), "text is not UTF-8 at byte 17");
}
