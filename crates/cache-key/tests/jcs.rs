//! RFC 8785 text, by the RFC's own examples.

mod common;

use cache_key::{EndpointKind, NotCanonical, to_jcs};
use common::{Choices, body, key, spell};
use proptest::prelude::*;

/// Sections 3.2.2 and 3.2.4.
#[test]
fn the_example_of_the_rfc() {
    let text = to_jcs(
        br#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#,
    );
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(text.as_deref(), Ok(expected));
}

/// Section 3.2.3.
#[test]
fn members_are_sorted_by_utf16_units() {
    let text = to_jcs(
        r#"{
            "\u20ac": "Euro Sign",
            "\r": "Carriage Return",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face",
            "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#
        .as_bytes(),
    )
    .expect("JSON");
    let values: Vec<&str> = text.split('"').skip(3).step_by(4).collect();
    assert_eq!(
        values,
        [
            "Carriage Return",
            "One",
            "Control",
            "Latin Small Letter O With Diaeresis",
            "Euro Sign",
            "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ]
    );
}

/// Appendix B.
#[test]
fn the_number_table_of_the_rfc() {
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let value = f64::from_bits(bits);
        assert_eq!(to_jcs(format!("{value:e}").as_bytes()).as_deref(), Ok(text), "{bits:016x}");
        // Spelled with all the digits that it has, which are up to 1074 behind the point.
        assert_eq!(to_jcs(format!("{value:.1074}").as_bytes()).as_deref(), Ok(text));
    }
    let out_of_range = Err(NotCanonical::NumberOutOfRange { offset: 1 });
    assert_eq!(to_jcs(b"[1e400]"), out_of_range);
    assert_eq!(to_jcs(b"[-1e400]"), out_of_range);
    assert_eq!(to_jcs(b"1e-400").as_deref(), Ok("0"));
}

proptest! {
    #![proptest_config(common::config())]

    /// What is written gives the same double back, in as few digits as Rust needs.
    #[test]
    fn numbers_lose_nothing(bits: u64, short in -1_000_000..1_000_000_i32, scale in -30..30_i32) {
        for value in [f64::from_bits(bits), f64::from(short) * 10_f64.powi(scale)] {
            if value.is_finite() {
                let shortest = format!("{value:e}");
                let text = to_jcs(shortest.as_bytes()).expect("it is finite");
                prop_assert_eq!(text.parse::<f64>(), Ok(value));
                let digits = |text: &str| {
                    let mantissa = text.split('e').next().unwrap_or_default().replace(['.', '-'], "");
                    mantissa.trim_matches('0').len()
                };
                prop_assert_eq!(digits(&text), digits(&shortest), "{}", text);
            }
        }
    }

    /// One text for all spellings, which is canonical itself, and JSON of the same meaning.
    #[test]
    fn one_text_for_all_spellings(body in body(), one: u64, two: u64) {
        let (one, two) = (spell(&body, &mut Choices(one)), spell(&body, &mut Choices(two)));
        let text = to_jcs(one.as_bytes()).ok(); // a number may be out of range, here or there
        prop_assert_eq!(&text, &to_jcs(two.as_bytes()).ok(), "{} {}", one, two);
        if let Some(text) = text {
            prop_assert_eq!(to_jcs(text.as_bytes()), Ok(text.clone()));
            let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            prop_assert!(value.is_object());
            // Where doubles lose nothing, the key stays the same.
            if !text.contains(|c: char| c.is_ascii_digit()) && !one.contains(|c: char| c.is_ascii_digit()) {
                prop_assert_eq!(key(EndpointKind::Generic, &text), key(EndpointKind::Generic, &one));
            }
        }
    }
}
