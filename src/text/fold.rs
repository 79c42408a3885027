//! Single characters: which count as the same, which as a blank, which as nothing.

/// What a character becomes in normalised text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    Nothing,
    Blank,
    One(char),
    Many(&'static str),
}

/// Maps blanks, quotes, dashes, ligatures and invisible characters; every other character stays as it is.
pub(super) fn fold(c: char) -> Folded {
    match c {
        // A form feed separates words as a line end does, so it is a blank rather than a control character.
        ' ' | '\t'..='\r' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' => Folded::Blank,
        '\u{202f}' | '\u{205f}' | '\u{3000}' => Folded::Blank,
        '!'..='~' => Folded::One(c),
        '\0'..='\u{1f}' | '\u{7f}' => Folded::Nothing,
        // Nobody means the C1 controls: they are windows-1252, from raw bytes or from references such as `&#146;`.
        '\u{80}'..='\u{9f}' => match WINDOWS_1252[c as usize - 0x80] {
            '\0' => Folded::Nothing,
            meant => fold(meant),
        },
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => {
            Folded::Nothing
        }
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => Folded::Nothing,
        '\u{b4}' | '\u{2b9}' | '\u{2bb}'..='\u{2bd}' | '\u{2c8}' | '\u{2018}'..='\u{201b}' => Folded::One('\''),
        '\u{2032}' | '\u{2035}' | '\u{ff07}' => Folded::One('\''),
        '\u{2ba}' | '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{301d}'..='\u{301f}' | '\u{ff02}' => {
            Folded::One('"')
        }
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' => Folded::One('-'),
        '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => Folded::One('-'),
        '\u{fb00}' => Folded::Many("ff"),
        '\u{fb01}' => Folded::Many("fi"),
        '\u{fb02}' => Folded::Many("fl"),
        '\u{fb03}' => Folded::Many("ffi"),
        '\u{fb04}' => Folded::Many("ffl"),
        '\u{fb05}' | '\u{fb06}' => Folded::Many("st"),
        _ => Folded::One(c),
    }
}

/// Windows-1252 from 0x80 on, see <https://encoding.spec.whatwg.org/index-windows-1252.txt>; NUL where it has no character.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\0', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\0', '\u{17d}', '\0', '\0', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}',
    '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\0', '\u{17e}',
    '\u{178}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_characters_stay_as_they_are() {
        for c in '\0'..=char::MAX {
            match fold(c) {
                Folded::One(one) => assert_eq!(fold(one), Folded::One(one), "{c:?}"),
                Folded::Many(many) => assert!(many.bytes().all(|b| b.is_ascii_lowercase()), "{c:?}"),
                Folded::Nothing | Folded::Blank => {}
            }
        }
    }

    #[test]
    fn one_kind_of_quote_dash_and_blank() {
        fn check(chars: &str, expected: Folded) {
            for c in chars.chars() {
                assert_eq!(fold(c), expected, "{c:?}");
            }
        }
        check("'\u{2018}\u{2019}\u{201a}\u{2032}\u{91}\u{92}", Folded::One('\''));
        check("\"\u{201c}\u{201d}\u{201e}\u{2033}\u{93}\u{94}", Folded::One('"'));
        check("-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{96}\u{97}", Folded::One('-'));
        check(" \t\n\r\u{a0}\u{2009}\u{2007}\u{202f}", Folded::Blank);
        check("\0\u{1b}\u{7f}\u{81}\u{ad}\u{200b}\u{feff}\u{fe0f}", Folded::Nothing);
        check("\u{fb03}", Folded::Many("ffi"));
    }

    #[test]
    fn other_characters_stay() {
        for c in "a~\u{a7}\u{a8}\u{e9}\u{2022}\u{2026}\u{2122}\u{2610}\u{2612}\u{fffd}\u{1f600}".chars() {
            assert_eq!(fold(c), Folded::One(c));
        }
    }
}
