//! Kubernetes' quantities: `500m`, `128Mi`.

/// Bytes: `128Mi`, `1Gi`, `500M`, `1e9`. None for what is not a quantity.
#[must_use]
pub fn memory_bytes(text: &str) -> Option<u64> {
    rounded(value(text)?)
}

/// Thousandths of a CPU: `500m`, `2`. None for what is not a quantity.
#[must_use]
pub fn cpu_millis(text: &str) -> Option<u64> {
    rounded(value(text)? * 1000.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in the range of u64")]
fn rounded(value: f64) -> Option<u64> {
    // 2^63: far above any amount of memory, and exact.
    (0.0..9.2e18).contains(&value).then(|| value.ceil() as u64)
}

fn value(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        exponent => 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_does() {
        assert_eq!(memory_bytes("128Mi"), Some(128 << 20));
        assert_eq!(memory_bytes("1Gi"), Some(1 << 30));
        assert_eq!(memory_bytes("500M"), Some(500_000_000));
        assert_eq!(memory_bytes("1e3"), Some(1000));
        assert_eq!(memory_bytes("0.5Gi"), Some(512 << 20));
        assert_eq!(cpu_millis("500m"), Some(500));
        assert_eq!(cpu_millis("2"), Some(2000));
        assert_eq!(cpu_millis("0.1"), Some(100));
        for wrong in ["", "Mi", "12 Mi", "-1", "128MB", "1..2"] {
            assert_eq!(memory_bytes(wrong), None, "{wrong}");
        }
    }
}
