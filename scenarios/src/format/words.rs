//! The nearest right word.

/// The word of `known` that `word` most likely was meant to be: at most two letters different
/// (inserted, left out, replaced or swapped), or a third of a long word.
///
/// ```
/// use scenarios::format::words::nearest;
/// assert_eq!(nearest("latecny", ["rate", "latency"]), Some("latency"));
/// assert_eq!(nearest("colour", ["rate", "latency"]), None);
/// ```
///
/// Words of more than 64 letters are no misspelling of any.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().nth(64).is_some() {
        return None;
    }
    let word = word.to_lowercase();
    let limit = if word.chars().count() <= 2 { 1 } else { 2.max(word.chars().count() / 3) };
    known
        .into_iter()
        .map(|k| (distance(&word, &k.to_lowercase()), k))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edit distance with neighbouring letters swapped counting one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// `a, b, c`.
pub fn list<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let words: Vec<W> = words.into_iter().collect();
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_count_one() {
        assert_eq!(distance("latecny", "latency"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("rate", "rate"), 0);
    }

    #[test]
    fn short_words_must_be_close() {
        assert_eq!(nearest("rx", ["up", "at", "rr"]), Some("rr"));
        assert_eq!(nearest("zz", ["up", "at"]), None);
    }

    #[test]
    fn long_words_have_none() {
        let word = "r".repeat(60);
        assert_eq!(nearest(&format!("{word}x"), [word.as_str()]), Some(word.as_str()));
        assert_eq!(nearest(&"r".repeat(65), [word.as_str()]), None);
    }
}
