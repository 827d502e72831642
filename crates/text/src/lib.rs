//! Texts of strangers, made fit for a line of a log, a terminal or a page.

/// Most bytes of a stranger's text that are kept.
pub const LONGEST: usize = 600;

/// A text on one line, of at most [`LONGEST`] bytes and a `…`.
///
/// Control characters and line breaks, those of Unicode too, become spaces. Characters that have no
/// width, or that change the direction of what follows, are left out.
pub fn one_line(text: &str) -> String {
    one_line_of(text, LONGEST)
}

/// The same, of at most `most` bytes and a `…`.
pub fn one_line_of(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    let mut before = ' ';
    for letter in text.chars() {
        let is_return = before == '\r' && letter == '\n';
        before = letter;
        if is_return || is_invisible(letter) {
            continue;
        }
        let letter = if is_break(letter) { ' ' } else { letter };
        if line.len() + letter.len_utf8() > most {
            line.push('…');
            break;
        }
        line.push(letter);
    }
    line
}

/// Whether a text has a character that [`one_line`] replaces or leaves out.
pub fn is_clean(text: &str) -> bool {
    !text
        .chars()
        .any(|letter| is_break(letter) || is_invisible(letter))
}

/// Ends a line, or is a control character.
fn is_break(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// Has no width, or turns the direction of a text: the format characters of Unicode (general
/// category Cf), and those that are drawn as nothing (`Default_Ignorable_Code_Point` of
/// [UAX #44](https://www.unicode.org/reports/tr44/)). The selectors of emojis stay.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}'
        | '\u{34f}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
